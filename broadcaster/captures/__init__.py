"""Captures: how disks of machines become images of the library, chunk by chunk, over the seat API."""
