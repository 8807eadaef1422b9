"""Sequences of numbers, and generated tests of memory."""
