"""ONNX classifiers drawn at random from the parts that networks of the catalogue are made of."""

import numpy as np
import onnx
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

SIDE = 8
CLASSES = 5


class Network:
    """Collects nodes and weights; each method adds an operation and returns the name of its result."""

    def __init__(self, seed=0, channels=3):
        self.random = np.random.default_rng(seed)
        self.nodes, self.weights, self.channels = [], [], {"images": channels}
        self.image_channels = channels

    def constant(self, value, name="w"):
        name = f"{name}{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def node(self, kind, inputs, *, channels=None, result=None, **attributes):
        result = result or f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [result], name=f"n{len(self.nodes)}", **attributes))
        known = (self.channels[name] for name in inputs if name in self.channels)
        self.channels[result] = next(known, None) if channels is None else channels
        return result

    def normal(self, *shape, scale=1.0):
        return (self.random.standard_normal(shape) * scale).astype(np.float32)

    def conv(self, x, outputs, kernel=3, group=1, bias=True):
        inputs = self.channels[x] // group
        spread = self.random.uniform(0.2, 2.0, (outputs, 1, 1, 1)).astype(np.float32)
        weights = self.normal(outputs, inputs, kernel, kernel, scale=(inputs * kernel**2) ** -0.5) * spread
        names = [x, self.constant(weights)] + ([self.constant(self.normal(outputs), "b")] if bias else [])
        pads = [kernel // 2] * 4
        return self.node("Conv", names, channels=outputs, group=group, pads=pads)

    def norm(self, x):
        n = self.channels[x]
        scale, variance = (self.random.uniform(0.3, 2, n).astype(np.float32) for _ in range(2))
        four = [self.constant(v, "bn") for v in (scale, self.normal(n), self.normal(n), variance)]
        return self.node("BatchNormalization", [x, *four], epsilon=1e-3)

    def clip(self, x, low=0.0, high=6.0):
        return self.node("Clip", [x, *(self.constant(np.float32(v), "c") for v in (low, high))])

    def max_pool(self, x):
        return self.node("MaxPool", [x], kernel_shape=[3, 3], pads=[1] * 4)

    def average_pool(self, x, counts=1):
        attributes = {"kernel_shape": [3, 3], "pads": [1] * 4, "count_include_pad": counts}
        return self.node("AveragePool", [x], **attributes)

    def concat(self, *parts):
        return self.node("Concat", list(parts), axis=1, channels=sum(self.channels[p] for p in parts))

    def gemm(self, x, outputs, result=None):
        weights = self.normal(outputs, self.channels[x], scale=self.channels[x] ** -0.5)
        names = [x, self.constant(weights), self.constant(self.normal(outputs), "b")]
        return self.node("Gemm", names, channels=outputs, transB=1, result=result)

    def head(self, x, hidden=False):
        """Mean over the image, flattened, one or two fully connected layers: the logits."""
        x = self.node("Flatten", [self.node("GlobalAveragePool", [x])])
        if hidden:
            x = self.node("Relu", [self.gemm(x, 12)])
        return self.gemm(x, CLASSES, result="logits")

    def model(self, opset=17):
        shape = ["N", self.image_channels, SIDE, SIDE]
        logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", CLASSES])
        images = helper.make_tensor_value_info("images", TensorProto.FLOAT, shape)
        graph = helper.make_graph(self.nodes, "network", [images], [logits], self.weights)
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
        onnx.checker.check_model(made)
        return made

    def images(self, n=4):
        return self.normal(n, self.image_channels, SIDE, SIDE)


def _relu(network, x):
    return network.node("Relu", [x])


def _plain(network, x):
    return _relu(network, network.conv(x, 8))


def _norm(network, x):
    return _relu(network, network.norm(network.conv(x, 6, bias=False)))


def _residual(network, x):
    branch = network.conv(_plain(network, x), network.channels[x])
    return _relu(network, network.node("Add", [branch, x]))


def _shortcut(network, x):
    branches = network.conv(x, 8), network.conv(x, 8, kernel=1)
    return _relu(network, network.node("Add", branches))


def _concat(network, x):
    small, large = _relu(network, network.conv(x, 4, kernel=1)), _plain(network, x)
    return network.concat(small, large, network.max_pool(x))


def _average(network, x):
    pooled = network.average_pool(x, counts=network.channels[x] % 2)
    return _relu(network, network.conv(pooled, 7, kernel=1))


def _depthwise(network, x):
    return _relu(network, network.conv(x, network.channels[x], group=network.channels[x]))


def _grouped(network, x):
    return _relu(network, network.conv(_relu(network, network.conv(x, 8, kernel=1)), 12, group=4))


def _relu6(network, x):
    return network.clip(network.conv(x, 8))


PARTS = (
    *(_plain, _norm, _residual, _shortcut, _concat, _average, _depthwise, _grouped, _relu6),
    Network.max_pool,
)


@st.composite
def networks(draw):
    """A random network as `Network`, finished."""
    network = Network(draw(st.integers(0, 2**31)), draw(st.sampled_from([1, 3])))
    x = _relu(network, network.conv("images", 8))
    for part in draw(st.lists(st.sampled_from(PARTS), min_size=1, max_size=4)):
        x = part(network, x)
    network.head(x, hidden=draw(st.booleans()))
    return network


def answers(model, images, optimised=False):
    """Logits by ONNX Runtime: node by node as the file says, or with every optimisation."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    level = ort.GraphOptimizationLevel
    options.graph_optimization_level = level.ORT_ENABLE_ALL if optimised else level.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(["logits"], {"images": images})[0]


def decibels(expected, found):
    """Signal over error in dB; 300 when they are the same."""
    error = float(np.square(expected - found, dtype=np.float64).sum())
    return 10 * np.log10(float(np.square(expected, dtype=np.float64).sum()) / error) if error else 300.0
