"""Sequences with one label: texts, numbers, images, and words without their last letter."""
