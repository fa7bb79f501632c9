"""The only shared I/O: multicast sockets, the MQTT link, interfaces and discovery."""
