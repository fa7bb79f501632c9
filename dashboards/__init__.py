"""Shows operators what happens: one more MQTT participant that never imports the other roles."""
