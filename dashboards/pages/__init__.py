"""The web console that operators look at and act with, made of NiceGUI's components, against ``dashboards.desk``."""
