"""The front door: the command line and the demo, which start the roles."""
