"""Texts: books, files and strings, read and encoded in pieces of any size."""
