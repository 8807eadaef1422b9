"""Models outside of this package: graphs of the whole sequence and of one step, with their state.

`zoo.models.graphs` says what a model offers. Here, each graph is written as ONNX or by `torch.export`.
"""

from zoo.graphs.writing import FORMATS as FORMATS
from zoo.graphs.writing import Export as Export
from zoo.graphs.writing import export as export
from zoo.graphs.writing import file_name as file_name
from zoo.graphs.writing import plain as plain
from zoo.graphs.writing import quantize as quantize
from zoo.graphs.writing import save as save
from zoo.graphs.writing import write as write
