"""What a network moves through memory: elements of activations read and written for one image."""

import math
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

_PRODUCTS = frozenset(
    {"Conv", "ConvTranspose", "ConvInteger", "QLinearConv"}
    | {"Gemm", "MatMul", "MatMulInteger", "QLinearMatMul"}
)
_WINDOWED = frozenset({"Conv", "ConvInteger", "QLinearConv", "MaxPool", "AveragePool"})
_SWEEPS = frozenset(
    {"MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "LRN", "LpPool"}
    | {"ReduceMean", "ReduceSum", "ReduceMax", "Softmax", "LogSoftmax", "ArgMax", "TopK"}
    | {"LayerNormalization", "InstanceNormalization", "GroupNormalization", "Resize"}
)
_COMBINATIONS = frozenset({"Add", "Sub", "Mul", "Div", "Sum", "Max", "Min", "Pow"})
_VIEWS = frozenset({"Concat", "Split", "Slice", "Gather"})

_MOST_VALUES = 1024  # of a constant that may be a shape

Shapes = dict[str, tuple[int, ...]]


def activation_elements(model: "ModelProto") -> int:
    """Elements of activations that one image moves to and from memory if every layer works out of memory.

    Each convolution and matrix product reads its input and writes its output once, with its bias, batch norm
    and activation function fused. A sum of two branches is fused into the layer that makes one of them and
    reads the other. Pooling, local normalisation and softmax read and write on their own. Concatenation,
    splitting and changes of shape or number format are free, and a window that is smaller than its stride
    reads only what it looks at. Weights are left out: they are read once a batch, not once an image.
    0 when a shape cannot be inferred.
    """
    graph, shapes = _one_image(model)
    flow = _Flow(graph, shapes)
    try:
        return sum(flow.elements(node) for node in graph.node)
    except KeyError:  # an operator of somebody's own has no shape
        return 0


def _one_image(model: "ModelProto") -> "tuple[GraphProto, Shapes]":
    """The graph for a batch of one, and the shapes of its activations.

    Large weights are left out: shape inference would copy all their bytes, and only needs their shape.
    """
    import onnx

    single = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
    single.functions.extend(model.functions)
    graph = single.graph
    graph.name = model.graph.name
    for part in ("node", "input", "output", "value_info"):
        getattr(graph, part).extend(getattr(model.graph, part))
    for tensor in model.graph.initializer:
        if math.prod(tensor.dims) <= _MOST_VALUES:
            graph.initializer.append(tensor)
        else:
            graph.input.append(onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    graph = onnx.shape_inference.infer_shapes(single, data_prop=True).graph
    shapes = {}
    for value in (*graph.input, *graph.value_info, *graph.output):
        shape = tuple(axis.dim_value for axis in value.type.tensor_type.shape.dim)
        if all(shape) and value.type.tensor_type.HasField("shape"):  # 0: symbolic, or not inferred
            shapes[value.name] = shape
    return graph, shapes


class _Flow:
    """Where each activation comes from, and how many layers look at it.

    What is made from one activation element by element (ReLU, sigmoid times itself, quantization) is the
    same traffic as that activation: its origin.
    """

    def __init__(self, graph: "GraphProto", shapes: Shapes) -> None:
        self._shapes = shapes
        self._made_by: dict[str, NodeProto] = {}
        weights = (*graph.initializer, *graph.input[1:])
        self._origin: dict[str, str | None] = {"": None, **{weight.name: None for weight in weights}}
        self._readers: Counter[str] = Counter()
        for node in graph.node:
            self._enter(node)
        self._readers.update(origin for value in graph.output if (origin := self._origin.get(value.name)))

    def _enter(self, node: "NodeProto") -> None:
        origins = self._origins(node)
        passes = node.op_type not in _PRODUCTS | _SWEEPS | _VIEWS and len(origins) < 2
        for name in node.output:
            self._made_by[name] = node
            self._origin[name] = (origins[0] if origins else None) if passes else name
        if not passes:
            self._readers.update(origins)

    def _origins(self, node: "NodeProto") -> list[str]:
        """The distinct activations that a node looks at."""
        found = (self._origin.get(name, name) for name in node.input)
        return list(dict.fromkeys(origin for origin in found if origin))

    def elements(self, node: "NodeProto") -> int:
        """Elements that this node moves by itself."""
        origins = self._origins(node)
        if node.op_type in _PRODUCTS or node.op_type in _SWEEPS:
            return sum(self._read(node, origin) for origin in origins) + self._size(node.output[0])
        if node.op_type not in _COMBINATIONS or len(origins) < 2:
            return 0
        written = self._size(node.output[0])
        fused = next((o for o in origins if self._is_fresh(o) and self._size(o) == written), None)
        others = sum(self._size(origin) for origin in origins if origin != fused)
        return others if fused else others + written

    def _read(self, node: "NodeProto", origin: str) -> int:
        """Elements of an input that are looked at: a 1x1 window with stride 2 skips three in four."""
        size = self._size(origin)
        if node.op_type not in _WINDOWED:
            return size
        channels, *_ = self._shapes[origin][1:]
        outputs = math.prod(self._shapes[node.output[0]][2:])
        return min(size, channels * outputs * self._window(node))

    def _window(self, node: "NodeProto") -> int:
        return next((math.prod(a.ints) for a in node.attribute if a.name == "kernel_shape"), 1)

    def _is_fresh(self, origin: str) -> bool:
        """Whether it is still at hand when it is needed: made by a product, read by nobody else."""
        node = self._made_by.get(origin)
        return node is not None and node.op_type in _PRODUCTS and self._readers[origin] == 1

    def _size(self, name: str) -> int:
        return math.prod(self._shapes[name])
