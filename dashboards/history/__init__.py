"""Casts that have ended, kept in one SQLite file: what became of each seat, what happened, the report."""
