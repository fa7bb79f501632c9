"""Measurements, each with its question, metric and corpus in the docstring; none is needed to run slatecast."""
