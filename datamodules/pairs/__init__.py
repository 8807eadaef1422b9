"""Pairs of sequences: a toy dictionary, generated tasks, texts and translations, words and how they are spoken."""
