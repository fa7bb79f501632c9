"""Sends an image to a room: library, sender session, encoder, transmitter, embedded broker."""
