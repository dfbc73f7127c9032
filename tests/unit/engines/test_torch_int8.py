"""The graph that is handed to inductor, run eagerly and compared with ONNX Runtime."""

import numpy as np
import pytest

from tensordyno.engines.torch_int8 import int8_layers, read_qdq
from tensordyno.errors import Unsupported
from tensordyno.quantize.base import Form

torch = pytest.importorskip("torch")
ort = pytest.importorskip("onnxruntime")
onnx_graphs = pytest.importorskip("onnx_graphs")


node = onnx_graphs.node
RANDOM = np.random.default_rng(2)
IMAGES = RANDOM.standard_normal((2, 3, 6, 6)).astype(np.float32)
STEP = {"s": np.float32(0.03), "z": np.uint8(128)}


def codes(*shape):
    return RANDOM.integers(-127, 128, shape).astype(np.int8)


def scales(channels):
    return RANDOM.uniform(0.001, 0.01, channels).astype(np.float32)


def run(nodes, constants, tmp_path):
    """What both make of it, and our graph."""
    model = onnx_graphs.graph(nodes, constants, IMAGES.shape)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    expected = ort.InferenceSession(model.SerializeToString(), options).run(None, {"images": IMAGES})[0]
    network = read_qdq(onnx_graphs.saved(model, tmp_path / "g.onnx"))
    found = network.module(torch.from_numpy(IMAGES)).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    return network


def rounded(name, output):
    return [node("QuantizeLinear", [name, "s", "z"], "q"), node("DequantizeLinear", ["q", "s", "z"], output)]


def kinds(network):
    return [
        str(part.target).partition(".default")[0].rpartition(".")[2] for part in network.module.graph.nodes
    ]


@pytest.mark.parametrize("form", Form)
def test_our_own_files_mean_what_they_mean_to_onnx_runtime(tiny, tiny_qdq, form):
    with np.load(tiny.reference) as stored:
        images = stored["images"]
    path = tiny_qdq(form).onnx
    network = read_qdq(path)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    expected = ort.InferenceSession(path, options).run(None, {"images": images})[0]
    with torch.inference_mode():
        found = network.module(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)
    assert network.layers == 3
    assert kinds(network).count("dequantize_per_channel") == 3


@pytest.mark.parametrize("pads", [[1, 1, 1, 1], [0, 1, 1, 0]])
def test_a_grouped_convolution_reads_int8_through_any_padding(pads, tmp_path):
    constants = STEP | {"w": codes(6, 1, 3, 3), "ws": scales(6), "wz": np.zeros(6, np.int8)}
    constants |= {"b": RANDOM.integers(-999, 999, 6).astype(np.int32), "bs": scales(6)}
    nodes = [
        *rounded("images", "x"),
        node("DequantizeLinear", ["w", "ws", "wz"], "wf", axis=0),
        node("DequantizeLinear", ["b", "bs"], "bf", axis=0),
        node("Conv", ["x", "wf", "bf"], pads=pads, group=3, strides=[2, 2]),
    ]
    network = run(nodes, constants, tmp_path)
    convolution = next(part for part in network.module.graph.nodes if "conv2d" in str(part.target))
    assert all("dequantize" in str(source.target) for source in convolution.args[:2])
    assert network.layers == 1


@pytest.mark.parametrize(
    ("kind", "shape", "axis", "attributes"),
    [
        ("Gemm", (5, 108), 0, {"transB": 1}),
        ("Gemm", (108, 5), 1, {}),
        ("MatMul", (108, 5), 1, {}),
        ("MatMul", (108, 5), -1, {}),
    ],
)
@pytest.mark.parametrize("per_channel", [True, False])
def test_products_become_linear_layers_however_their_weights_lie(
    kind, shape, axis, attributes, per_channel, tmp_path
):
    count = 5 if per_channel else 1
    constants = STEP | {"w": codes(*shape), "b": np.ones((1, 5), np.float32)}
    constants["ws"] = scales(count) if per_channel else scales(1)[0]
    constants["wz"] = np.zeros_like(constants["ws"], np.int8)
    nodes = [
        *rounded("images", "x"),
        node("Flatten", ["x"], "f"),
        node("DequantizeLinear", ["w", "ws", "wz"], "wf", axis=axis),
        node(kind, ["f", "wf", *(["b"] if kind == "Gemm" else [])], **attributes),
    ]
    network = run(nodes, constants, tmp_path)
    assert {"dequantize_per_channel", "linear"} <= set(kinds(network))
    assert network.layers == 1


def test_float_weights_stay_a_layer_and_float_weights_quantized_in_the_file_become_int8(tmp_path):
    weights = RANDOM.standard_normal((4, 3, 1, 1)).astype(np.float32)
    constants = STEP | {"w": weights, "ws": np.float32(0.02), "wz": np.int8(0)}
    assert "dequantize_per_channel" not in kinds(run([node("Conv", ["images", "w"])], constants, tmp_path))
    nodes = [
        node("QuantizeLinear", ["w", "ws", "wz"], "wq"),
        node("DequantizeLinear", ["wq", "ws", "wz"], "wf"),
        node("Conv", ["images", "wf"]),
    ]
    assert "dequantize_per_channel" in kinds(run(nodes, constants, tmp_path))


def test_uneven_weights_are_computed_in_float(tmp_path):
    constants = {"w": RANDOM.integers(0, 255, (4, 3, 1, 1)).astype(np.uint8), "ws": np.float32(0.01)}
    constants["wz"] = np.uint8(117)
    nodes = [node("DequantizeLinear", ["w", "ws", "wz"], "wf"), node("Conv", ["images", "wf"])]
    network = run(nodes, constants, tmp_path)
    assert network.layers == 1 and "dequantize_per_channel" not in kinds(network)


def test_constants_may_be_nodes_and_products_of_activations_are_no_layers(tmp_path):
    from onnx import numpy_helper

    two = node("Constant", [], "two", value=numpy_helper.from_array(np.float32(2)))
    network = run([two, node("Mul", ["images", "two"], "m"), node("MatMul", ["m", "images"])], {}, tmp_path)
    assert network.layers == 0


@pytest.mark.parametrize(
    ("nodes", "constants", "says"),
    [
        ([node("Erf", ["images"])], {}, "cannot read the ONNX operator Erf"),
        ([node("QuantizeLinear", ["images", "images"])], {}, "constant scales"),
        (
            [node("QuantizeLinear", ["images", "s", "z"])],
            {"s": np.ones(3, np.float32), "z": np.zeros(3, np.uint8)},
            "one scale a tensor",
        ),
        (
            [node("Flatten", ["images"], "f"), node("Gemm", ["f", "w"], alpha=2.0)],
            {"w": codes(108, 5)},
            "plain",
        ),
    ],
)
def test_what_has_no_counterpart_is_refused(nodes, constants, says, tmp_path):
    path = onnx_graphs.saved(onnx_graphs.graph(nodes, constants, IMAGES.shape), tmp_path / "g.onnx")
    with pytest.raises(Unsupported, match=says):
        read_qdq(path)


def test_layers_are_counted_by_inductor():
    from torch._dynamo.utils import counters

    counters.clear()
    assert int8_layers() == 0
    counters["inductor"].update(qconv_unary_lower_count=2, qlinear_binary_lower_count=1, extern_calls=9)
    assert int8_layers() == 3
    counters.clear()
