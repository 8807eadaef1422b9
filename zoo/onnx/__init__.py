"""Models as ONNX graphs: the whole sequence and one step, with their state."""

from zoo.onnx.writing import Export as Export
from zoo.onnx.writing import export as export
from zoo.onnx.writing import write as write
