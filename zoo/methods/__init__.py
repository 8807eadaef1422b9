"""What models do with plain values: texts, images and tables in, answers out. Nothing here computes a network."""
