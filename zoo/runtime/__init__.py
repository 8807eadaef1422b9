"""Exported models without PyTorch: NumPy and onnxruntime alone.

`load` gives a model with the methods and answers of `zoo.load`, from a folder that `zoo export --format onnx` wrote.
"""

from zoo.runtime.loading import load as load
