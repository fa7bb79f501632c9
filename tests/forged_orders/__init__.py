"""A hundred thousand forged, replayed or mutated orders, and a receiver that must not touch its disk for any."""
