"""Single operations by ONNX Runtime, node by node as the file says, and operations and numbers for them."""

from dataclasses import replace

import numpy as np
import onnxruntime as ort
from hypothesis import assume
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from tensordyno.forge.graph import Clamp, Convolution, Tensor
from tensordyno.forge.kernels.reference_values import Value
from tensordyno.forge.kernels.reference_windows import extent, output_size

BATCHES = st.sampled_from([1, 3, 7])
CLAMPS = st.sampled_from([None, Clamp(), Clamp(0, 6)])


def run(nodes, inputs, constants=None, opset=20):
    """The output of the last node for named inputs; constants stand in the file."""
    weights = [numpy_helper.from_array(np.asarray(value), name) for name, value in (constants or {}).items()]
    sources = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
        for name, value in inputs.items()
    ]
    last = helper.make_empty_tensor_value_info(nodes[-1].output[0])
    made = helper.make_graph(list(nodes), "graph", sources, [last], weights)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, dict(inputs))[0]


def one(kind, *inputs, constants=(), opset=20, **attributes):
    """What a single node makes of its inputs, then constants."""
    named = {f"i{index}": value for index, value in enumerate(inputs)}
    fixed = {f"c{index}": value for index, value in enumerate(constants)}
    return run([helper.make_node(kind, [*named, *fixed], ["out"], **attributes)], named, fixed, opset)


def dequantized(value):
    """Real numbers of a Value by ONNX Runtime."""
    zero = np.zeros((), value.numbers.dtype)
    return one("DequantizeLinear", value.numbers, constants=[value.scale, zero])


def quantized(real, tensor):
    """The integers of real numbers by ONNX Runtime, which divides by the scale."""
    zero = np.uint8(0) if tensor.unsigned else np.int8(0)
    return one("QuantizeLinear", real, constants=[np.float32(tensor.scale), zero])


def written(real, tensor):
    """Real numbers as ONNX Runtime would hold them in that tensor."""
    return real if tensor.scale is None else quantized(real, tensor)


def normal(random, *shape, scale=1.0):
    return (random.standard_normal(shape) * scale).astype(np.float32)


def integers(random, *shape, scale=0.05, unsigned=False):
    """All integers alike likely, with that scale."""
    kind = np.iinfo(np.uint8 if unsigned else np.int8)
    return Value(random.integers(kind.min, kind.max + 1, shape, kind.dtype), np.float32(scale))


def tensor(shape, scale=None, unsigned=False):
    return Tensor("out", tuple(shape), scale, unsigned)


def from_half(real, scale):
    """How far numbers lie from the nearest half of a step, in steps."""
    steps = np.asarray(real, np.float64) / float(np.float32(scale))
    return np.abs(steps - np.floor(steps) - 0.5)


@st.composite
def pairs(draw, largest=3):
    return tuple(draw(st.tuples(st.integers(1, largest), st.integers(1, largest))))


@st.composite
def convolutions(draw, real=False):
    """A node with random weights, the input it reads, and the size of its output (out, height, width)."""
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    into = groups * draw(st.integers(1, 4))
    out = groups * draw(st.integers(1, 3))
    if draw(st.integers(0, 3)) == 0:
        groups = out = into  # depthwise
    kernel, stride, dilation = draw(pairs()), draw(pairs()), draw(pairs(2))
    pads = tuple(draw(st.lists(st.integers(0, 2), min_size=4, max_size=4)))
    shape = draw(BATCHES), into, draw(st.integers(3, 12)), draw(st.integers(3, 12))
    image = Value(normal(random, *shape)) if real else _integers(random, shape, draw(st.booleans()))
    spans = extent(kernel, dilation)
    assume(shape[2] + pads[0] + pads[2] >= spans[0] and shape[3] + pads[1] + pads[3] >= spans[1])
    size = (out, *output_size(image.numbers, spans, stride, pads))
    weights = (out, into // groups, *kernel)
    node = Convolution(
        name="conv",
        inputs=("image",),
        output="out",
        weight=normal(random, *weights) if real else random.integers(-127, 128, weights, np.int8),
        weight_scale=None if real else random.uniform(0.001, 0.02, out).astype(np.float32),
        bias=draw(st.sampled_from([None, normal(random, out)])),
        stride=stride,
        pads=pads,
        dilation=dilation,
        groups=groups,
        clamp=draw(CLAMPS),
    )
    if draw(st.booleans()):
        node = replace(node, inputs=("image", "residual"))
        whole = (shape[0], *size)
        residual = Value(normal(random, *whole)) if real else integers(random, *whole, scale=0.03)
        return node, (image, residual), size
    return node, (image,), size


def _integers(random, shape, unsigned):
    return integers(random, *shape, scale=random.uniform(0.01, 0.1), unsigned=unsigned)


def half_steps(bias):
    """Every other result is half a step: what the last bits make of it decides."""
    random = np.random.default_rng(1)
    weight = random.integers(-3, 4, (16, 8, 1, 1), np.int8)
    scales = random.uniform(0.01, 0.02, 1).astype(np.float32).repeat(16)
    node = Convolution(name="n", inputs=("i",), output="o", weight=weight, weight_scale=scales)
    image = integers(random, 2, 8, 20, 20, scale=0.0371)
    step = float(image.scale * scales[0] * 2)
    return replace(node, bias=np.full(16, bias * step, np.float32)), [image], tensor((16, 20, 20), step * 4)
