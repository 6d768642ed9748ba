"""Benchmarks that ``python -m evaluation run`` knows, behind one interface."""
