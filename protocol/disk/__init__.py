"""Shared I/O on disks: what lies on one, which of its bytes are used, and how its chunks are packed."""
