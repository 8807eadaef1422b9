"""Runs: their folders, how they stop, and how they go on."""
