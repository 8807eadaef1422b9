"""Sequences with a tag for each symbol."""
