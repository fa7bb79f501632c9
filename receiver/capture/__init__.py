"""Capture: the used blocks of this machine's disk, from the disk into the broadcaster's library."""
