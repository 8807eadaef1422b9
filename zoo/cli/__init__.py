"""The commands, their arguments and messages, and what a config may name."""
