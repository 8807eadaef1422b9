"""What lies on the disk: bundles, cards, checkpoints, and what they may hold. Nothing here knows a model."""
