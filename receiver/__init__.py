"""Receives an image and writes it to one disk: receiver session, decoder, disk."""
