"""Models as ONNX graphs: the whole sequence and one step, with their state."""
