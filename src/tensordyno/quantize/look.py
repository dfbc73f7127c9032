"""A first look at a graph with one image: how large its tensors are, and which of them end at zero."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tensordyno.datasets.base import FloatArray
from tensordyno.errors import DataError, MissingPackage
from tensordyno.models.base import BATCH_AXIS
from tensordyno.quantize.wiring import Wiring, attribute

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

_NEVER_NEGATIVE = frozenset({"Relu", "Sigmoid", "Softmax", "HardSigmoid", "Abs"})
_PASS_ON = frozenset(  # not negative as long as none of what they read is
    {
        *("MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "ReduceMean", "Concat", "Add"),
        *("Flatten", "Reshape", "Squeeze", "Unsqueeze", "Transpose", "Identity", "Dropout"),
    }
)
_OF_SEVERAL = frozenset({"Concat", "Add"})  # the others read one tensor of numbers, and perhaps a shape
_IMAGES = 2  # the same one twice, to see which axis grows


class Seen:
    """One tensor of the graph.

    `shape` is that of one image's part, with all axes but the first, which the images share; `rows` is
    how long the first one is for each image: 1 unless the graph divides images into windows.
    `floor` says that no value can be below 0 and that 0 occurs, so the smallest value is known.
    """

    def __init__(self, name: str, shape: tuple[int, ...], rows: int, *, floor: bool) -> None:
        self.name = name
        self.shape = shape
        self.rows = rows
        self.floor = floor

    @property
    def per_image(self) -> tuple[int, ...]:
        """Axes of one image's values, without those of length 1 that the rows may add."""
        return self.shape if self.rows == 1 else (self.rows, *self.shape)


def look(model: "ModelProto", tensors: Sequence[str], image: FloatArray, threads: int) -> list[Seen]:
    """Run one image (1, C, H, W) and describe every tensor asked for, in that order.

    Raises DataError (`batch-not-first`) for a tensor whose first axis does not run over the images.
    """
    from onnx import TensorProto, helper

    never = _never_negative(model)
    backwards = list(enumerate(tensors))[::-1]  # then no tensor is kept until the end: see `Probes`
    sizes = {name: f"tensordyno/size/{number}" for number, name in backwards}
    least = {name: f"tensordyno/least/{number}" for number, name in backwards if name in never}
    graph = helper.make_graph(
        [
            *(helper.make_node("Shape", [name], [size]) for name, size in sizes.items()),
            *(helper.make_node("ReduceMin", [name], [low], keepdims=0) for name, low in least.items()),
        ],
        "look",
        [],
        [
            *(helper.make_tensor_value_info(size, TensorProto.INT64, None) for size in sizes.values()),
            *(helper.make_tensor_value_info(low, TensorProto.FLOAT, None) for low in least.values()),
        ],
    )
    session = open_session(model, graph_addition(graph), threads, _IMAGES, optimise=False)
    asked = [*sizes.values(), *least.values()]
    found = dict(zip(asked, run(session, asked, np.repeat(image[:1], _IMAGES, axis=0)), strict=True))
    floors = {name for name, low in least.items() if float(found[low]) == 0.0}
    return [_seen(name, found[sizes[name]].tolist(), name in floors) for name in tensors]


def graph_addition(graph: Any) -> bytes:
    """Bytes that, written after those of a model, add this graph's nodes, initializers and outputs to it.

    Protocol buffers merge: repeated fields are appended to. So a large model is never copied.
    """
    from onnx import ModelProto

    addition = ModelProto()
    addition.graph.node.extend(graph.node)
    addition.graph.initializer.extend(graph.initializer)
    addition.graph.output.extend(graph.output)
    return addition.SerializeToString()


def open_session(
    model: "ModelProto", addition: bytes, threads: int, images: int, *, optimise: bool = True
) -> Any:
    """An ONNX Runtime session of a model with an addition, for so many images a call, on the CPU.

    `threads` 0: as many as there are cores. Raises MissingPackage without onnxruntime.
    """
    try:
        import onnxruntime as ort
    except ImportError:
        raise MissingPackage("onnxruntime", "onnxruntime") from None
    levels = ort.GraphOptimizationLevel
    options = ort.SessionOptions()
    options.graph_optimization_level = levels.ORT_ENABLE_ALL if optimise else levels.ORT_DISABLE_ALL
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # a failure is raised; the library need not print it as well
    options.add_free_dimension_override_by_name(BATCH_AXIS, images)
    content = model.SerializeToString() + addition
    return ort.InferenceSession(content, sess_options=options, providers=["CPUExecutionProvider"])


def run(session: Any, outputs: list[str], images: FloatArray) -> list[NDArray[Any]]:
    """The named outputs for these images."""
    feed = {session.get_inputs()[0].name: np.ascontiguousarray(images, np.float32)}
    found: list[NDArray[Any]] = session.run(outputs, feed)
    return found


def _seen(name: str, size: list[int], floor: bool) -> Seen:
    if not size or size[0] == 0 or size[0] % _IMAGES:
        raise DataError(
            "batch-not-first",
            f"The tensor '{name}' has the shape {tuple(size)} for {_IMAGES} images: its first axis does not "
            "run over the images.",
            "Networks that mix images, or put another axis first, cannot be calibrated.",
        )
    return Seen(name, tuple(size[1:]), size[0] // _IMAGES, floor=floor)


def _never_negative(model: "ModelProto") -> set[str]:
    """Tensors that hold no negative number whatever the images are."""
    wiring = Wiring(model.graph)
    found: set[str] = set()
    for node in model.graph.node:
        data = node.input if node.op_type in _OF_SEVERAL else node.input[:1]
        passed = node.op_type in _PASS_ON and found.issuperset(data)
        if node.op_type in _NEVER_NEGATIVE or passed or _clips_at_zero(node, wiring):
            found.update(node.output)
    return found


def _clips_at_zero(node: "NodeProto", wiring: Wiring) -> bool:
    if node.op_type != "Clip":
        return False
    if len(node.input) > 1 and wiring.is_constant(node.input[1]):
        return float(wiring.array(node.input[1])) >= 0.0
    return float(attribute(node, "min", -np.inf)) >= 0.0
