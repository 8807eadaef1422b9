"""What simple methods reach on the data of a task: the figures that a model has to pass."""
