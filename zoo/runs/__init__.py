"""Runs: their folders, and how they are stopped and resumed."""
