"""Benches: each is a program, ``python -m benches.NAME``; its docstring says question, metric and corpus."""
