"""The pure core that broadcaster, receiver and dashboards share: formats, codes and digests.

Nothing here opens a socket or a file, asks the time, draws a random number or reads the environment
(``protocol.link`` is the one exception: the shared I/O). Names follow RFC 5052, RFC 5651 and RFC 5740.
"""

PROTOCOL_VERSION = 1
"""Version of the datagram, the messages and the manifest together; a receiver refuses any other."""
