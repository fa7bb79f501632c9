"""`slatecast serve`: broker, broadcaster and console as one service, from one configuration file."""
