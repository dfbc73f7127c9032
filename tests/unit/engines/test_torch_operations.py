"""Each operator, run eagerly and compared with ONNX Runtime."""

import numpy as np
import pytest

from tensordyno.engines.torch_int8 import read_qdq
from tensordyno.engines.torch_operations import OPERATIONS
from tensordyno.errors import Unsupported

torch = pytest.importorskip("torch")
ort = pytest.importorskip("onnxruntime")
onnx_graphs = pytest.importorskip("onnx_graphs")


node = onnx_graphs.node
X = ["images"]
WINDOW = {"kernel_shape": [3, 3], "strides": [2, 2]}
CONSTANTS = {
    "bias": np.linspace(-1, 1, 3, dtype=np.float32).reshape(3, 1, 1),
    "vector": np.array([0.5, 2.0, 1.5], np.float32),
    "shift": np.array([0.1, -0.2, 0.3], np.float32),
    "zero": np.float32(0),
    "one": np.float32(1),
    "two": np.float32(2),
    "six": np.float32(6),
    "last": np.array([2, 3], np.int64),
    "kept": np.array([0, 3, -1], np.int64),
    "flat": np.array([2, -1], np.int64),
    "third": np.array([2], np.int64),
    "pads": np.array([0, 0, 1, 2, 0, 0, 0, 3], np.int64),
}

# nodes; operators that need positive input get it from Sigmoid
CASES = {
    "Add": [node("Add", [*X, "bias"])],
    "AveragePool": [node("AveragePool", X, **WINDOW, pads=[1, 1, 1, 1])],
    "AveragePool counted": [node("AveragePool", X, **WINDOW, pads=[1, 1, 1, 1], count_include_pad=1)],
    "AveragePool uneven": [node("AveragePool", X, **WINDOW, pads=[0, 0, 1, 1], count_include_pad=1)],
    "AveragePool up": [node("AveragePool", X, **WINDOW, ceil_mode=1)],
    "BatchNormalization": [
        node("BatchNormalization", [*X, "vector", "shift", "shift", "vector"], epsilon=1e-3)
    ],
    "Clip": [node("Clip", [*X, "zero", "one"])],
    "Clip to six": [node("Clip", [*X, "zero", "six"])],
    "Clip below": [node("Clip", [*X, "zero"])],
    "Concat": [node("Relu", X, "a"), node("Concat", [*X, "a", *X], axis=1)],
    "Div": [node("Div", [*X, "two"])],
    "Dropout": [node("Dropout", X)],
    "Flatten": [node("Flatten", X)],
    "GlobalAveragePool": [node("GlobalAveragePool", X)],
    "GlobalMaxPool": [node("GlobalMaxPool", X)],
    "HardSigmoid": [node("HardSigmoid", X, alpha=0.3, beta=0.4)],
    "HardSwish": [node("HardSwish", X)],
    "Identity": [node("Identity", X)],
    "LRN": [node("LRN", X, size=3, alpha=0.5, beta=0.6, bias=1.5)],
    "LeakyRelu": [node("LeakyRelu", X, alpha=0.2)],
    "MaxPool": [node("MaxPool", X, **WINDOW, pads=[1, 1, 1, 1])],
    "MaxPool up": [node("MaxPool", X, **WINDOW, ceil_mode=1)],
    "MaxPool up, padded": [node("MaxPool", X, **WINDOW, pads=[1, 1, 1, 1], ceil_mode=1)],
    "MaxPool uneven": [node("MaxPool", X, **WINDOW, pads=[0, 1, 1, 0])],
    "MaxPool dilated": [node("MaxPool", X, kernel_shape=[2, 2], dilations=[2, 2])],
    "Mul": [node("Mul", [*X, "bias"])],
    "Pad": [node("Pad", [*X, "pads", "two"])],
    "Pad zeros": [node("Pad", [*X, "pads"])],
    "Pow": [node("Sigmoid", X, "a"), node("Pow", ["a", "two"])],
    "ReduceMean": [node("ReduceMean", [*X, "last"], keepdims=0)],
    "Relu": [node("Relu", X)],
    "Reshape": [node("Reshape", [*X, "flat"])],
    "Reshape keeping the batch": [node("Reshape", [*X, "kept"])],
    "Sigmoid": [node("Sigmoid", X)],
    "Softmax": [node("Softmax", X, axis=1)],
    "Sqrt": [node("Sigmoid", X, "a"), node("Sqrt", ["a"])],
    "Squeeze": [node("GlobalAveragePool", X, "a"), node("Squeeze", ["a", "last"])],
    "Sub": [node("Sub", [*X, "bias"])],
    "Tanh": [node("Tanh", X)],
    "Transpose": [node("Transpose", X, perm=[0, 2, 3, 1])],
    "Unsqueeze": [node("Unsqueeze", [*X, "third"])],
}


def images(sides=(9, 10)):
    return np.random.default_rng(4).standard_normal((2, 3, *sides)).astype(np.float32) * 3


def compare(nodes, tmp_path, given):
    used = {name for made in nodes for name in made.input}
    constants = {name: value for name, value in CONSTANTS.items() if name in used}
    model = onnx_graphs.graph(nodes, constants, given.shape)
    expected = ort.InferenceSession(model.SerializeToString()).run(None, {"images": given})[0]
    found = read_qdq(onnx_graphs.saved(model, tmp_path / "g.onnx")).module(torch.from_numpy(given))
    assert found.shape == expected.shape
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("nodes", CASES.values(), ids=CASES)
def test_means_what_onnx_says(nodes, tmp_path):
    compare(nodes, tmp_path, images())


@pytest.mark.parametrize("sides", [(7, 8), (8, 7), (9, 11), (12, 12)])
@pytest.mark.parametrize("kernel", [2, 3])
def test_sizes_rounded_up(sides, kernel, tmp_path):
    pool = node("MaxPool", X, kernel_shape=[kernel, kernel], strides=[2, 2], ceil_mode=1)
    compare([pool], tmp_path, images(sides))


def test_every_operator_has_a_case():
    assert {name.partition(" ")[0] for name in CASES} == set(OPERATIONS)


@pytest.mark.parametrize(
    ("nodes", "says"),
    [
        ([node("Reshape", [*X, "a"])], "constant input 1 of Reshape"),
        ([node("MaxPool", X, **WINDOW, auto_pad="SAME_UPPER")], "explicit padding"),
        ([node("MaxPool", X, kernel_shape=[1, 1], strides=[2, 2], ceil_mode=1)], "round the size"),
        ([node("AveragePool", X, **WINDOW, pads=[0, 0, 1, 1])], "uneven padding"),
        ([node("Flatten", X, axis=2)], "second axis"),
        ([node("Squeeze", X)], "axes of Squeeze"),
        ([node("Pad", [*X, "pads"], mode="reflect")], "with a constant"),
    ],
)
def test_what_it_cannot_mean_is_refused(nodes, says, tmp_path):
    model = onnx_graphs.graph([node("Identity", X, "a"), *nodes], CONSTANTS, (2, 3, 9, 10))
    with pytest.raises(Unsupported, match=says):
        read_qdq(onnx_graphs.saved(model, tmp_path / "g.onnx"))
