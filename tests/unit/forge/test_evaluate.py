from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest
from forge_operations import from_half, normal, run
from onnx import helper

from tensordyno.forge.evaluate import evaluate, evaluate_all
from tensordyno.forge.graph import (
    Clamp,
    Convolution,
    Dequantize,
    GlobalAveragePool,
    Graph,
    MaxPool,
    Quantize,
    Reshape,
    Tensor,
)
from tensordyno.forge.kernels.compare import mismatches
from tensordyno.forge.kernels.number_formats import rounded, spacing
from tensordyno.vocabulary import Precision

SHAPE = (3, 13, 10)
SHAPES = {
    "images": SHAPE,
    "stem": (8, 13, 10),
    "pooled": (8, 7, 5),
    "narrow": (8, 7, 5),
    "block": (8, 7, 5),
    "mean": (8, 1, 1),
    "flat": (8,),
    "logits": (5,),
}
STEPS = {
    "integers": 0.025,
    "stem": 0.06,
    "pooled": 0.06,
    "narrow": 0.09,
    "block": 0.05,
    "mean": 0.04,
    "flat": 0.04,
}


def network(steps=None):
    """A stem, a pool, a residual block and a classifier; with steps in int8, the image rounded by a node."""
    random = np.random.default_rng(8)
    steps = steps or {}
    inputs = "integers" if steps else "images"
    nodes = [
        _layer(random, (inputs,), "stem", (8, 3, 3, 3), steps, pads=(1, 1, 1, 1), clamp=Clamp()),
        MaxPool(
            name="pool", inputs=("stem",), output="pooled", kernel=(3, 3), stride=(2, 2), pads=(1, 1, 1, 1)
        ),
        _layer(random, ("pooled",), "narrow", (8, 2, 3, 3), steps, pads=(1, 1, 1, 1), groups=4),
        _layer(random, ("narrow", "pooled"), "block", (8, 8, 1, 1), steps, clamp=Clamp(0, 6)),
        GlobalAveragePool(name="average", inputs=("block",), output="mean"),
        Reshape(name="flatten", inputs=("mean",), output="flat"),
        _layer(random, ("flat",), "logits", (5, 8, 1, 1), steps),
    ]
    tensors = {name: Tensor(name, shape, steps.get(name)) for name, shape in SHAPES.items()}
    if steps:
        nodes.insert(0, Quantize(name="rounding", inputs=("images",), output="integers"))
        tensors["integers"] = Tensor("integers", SHAPE, steps["integers"])
    return Graph(input="images", output="logits", nodes=tuple(nodes), tensors=MappingProxyType(tensors))


def _layer(random, inputs, output, weights, steps, **words):
    real = normal(random, *weights, scale=0.3)
    bias, scale = normal(random, weights[0], scale=0.1), None
    if steps:
        scale = (np.abs(real).max(axis=(1, 2, 3)) / 127).astype(np.float32)
        real = np.rint(real / scale.reshape(-1, 1, 1, 1)).astype(np.int8)
    return Convolution(
        name=f"make {output}",
        inputs=inputs,
        output=output,
        weight=real,
        weight_scale=scale,
        bias=bias,
        **words,
    )


class Writer:
    """The same network as an ONNX file, rounding behind each tensor that has a scale."""

    def __init__(self, graph):
        self.graph, self.nodes, self.fixed, self.at = graph, [], {}, {"images": "images"}
        for node in graph.nodes:
            getattr(self, type(node).__name__.lower())(node)
        self.nodes[-1].output[0] = "logits"

    def add(self, kind, inputs, output, constants=(), **attributes):
        names = [f"{output}_{kind}_{place}" for place in range(len(constants))]
        self.fixed |= dict(zip(names, constants, strict=True))
        made = f"{output}_{kind}_made"
        self.nodes.append(helper.make_node(kind, [*inputs, *names], [made], **attributes))
        self.at[output] = made

    def rounding(self, name):
        scale = self.graph.tensor(name).scale
        if scale is not None:
            for kind in ("QuantizeLinear", "DequantizeLinear"):
                self.add(kind, [self.at[name]], name, [np.float32(scale), np.int8(0)])

    def convolution(self, node):
        weight = node.weight
        if node.weight_scale is not None:
            weight = weight * node.weight_scale.reshape(-1, 1, 1, 1)
        source, *residual = (self.at[name] for name in node.inputs)
        if node.output == "logits":
            self.add("Gemm", [source], node.output, [weight[:, :, 0, 0], node.bias], transB=1)
        else:
            self.add("Conv", [source], node.output, [weight, node.bias], pads=node.pads, group=node.groups)
        for other in residual:
            self.add("Add", [self.at[node.output], other], node.output)
        if node.clamp is not None:
            bounds = [np.float32(node.clamp.low), np.float32(min(node.clamp.high, 3e38))]
            self.add("Clip", [self.at[node.output]], node.output, bounds)
        self.rounding(node.output)

    def maxpool(self, node):
        words = {"kernel_shape": node.kernel, "strides": node.stride, "pads": node.pads}
        self.add("MaxPool", [self.at[node.inputs[0]]], node.output, **words)
        self.rounding(node.output)

    def globalaveragepool(self, node):
        self.add("GlobalAveragePool", [self.at[node.inputs[0]]], node.output)
        self.rounding(node.output)

    def reshape(self, node):
        self.add("Flatten", [self.at[node.inputs[0]]], node.output)
        self.rounding(node.output)

    def quantize(self, node):
        self.at[node.output] = self.at[node.inputs[0]]
        self.rounding(node.output)


def images(n=3):
    return normal(np.random.default_rng(9), n, *SHAPE)


def answers(graph, batch):
    made = Writer(graph)
    return run(made.nodes, {"images": batch}, made.fixed)


@pytest.mark.parametrize("n", [1, 3, 7])
def test_real_numbers_are_as_onnxruntime_has_them(n):
    graph, batch = network(), images(n)
    expected = answers(graph, batch)
    found = evaluate(graph, batch)
    assert (found.dtype, found.shape) == (np.float32, (n, 5))
    assert mismatches(found, expected, 1e-5 * np.abs(expected).max())[0] == 0


@pytest.mark.parametrize("n", [1, 3, 7])
def test_integers_are_as_onnxruntime_has_them(n):
    graph, batch = network(STEPS), images(n)
    expected = answers(graph, batch)
    assert mismatches(evaluate(graph, batch), expected, 1e-5 * np.abs(expected).max())[0] == 0


def test_every_tensor_is_told():
    graph = network(STEPS)
    found = evaluate_all(graph, images())
    assert set(found) == {*SHAPES, "integers"}
    for name, numbers in found.items():
        assert numbers.shape == (3, *graph.tensor(name).shape)
        assert numbers.dtype == (np.float32 if name in ("images", "logits") else np.int8)
        assert len(np.unique(numbers)) > 4
    np.testing.assert_array_equal(found["logits"], evaluate(graph, images()))
    np.testing.assert_array_equal(found["mean"].ravel(), found["flat"].ravel())
    assert (
        found["integers"] == np.clip(np.rint(images() / np.float32(STEPS["integers"])), -128, 127)
    ).mean() > 0.999


def test_rounding_is_near_the_real_network():
    real, whole = evaluate(network(), images()), evaluate(network(STEPS), images())
    noise = np.square(real - whole).sum() / np.square(real).sum()
    assert 1e-7 < noise < 0.01


def test_images_may_be_integers_where_the_input_has_a_scale():
    whole = network(STEPS)
    inside = replace(whole, input="integers", nodes=whole.nodes[1:])
    found = evaluate_all(whole, images())
    np.testing.assert_array_equal(evaluate(inside, found["integers"]), found["logits"])
    np.testing.assert_array_equal(evaluate(inside, images()), found["logits"])
    with pytest.raises(ValueError, match="uint8, which integers does not hold"):
        evaluate(inside, found["integers"].view(np.uint8))
    with pytest.raises(ValueError, match="int8, which images does not hold"):
        evaluate(whole, found["integers"])


def test_unsigned_tensors_hold_the_upper_half():
    whole = network(STEPS)
    stem = {name: replace(whole.tensor(name), scale=0.03, unsigned=True) for name in ("stem", "pooled")}
    upper = replace(whole, tensors=MappingProxyType({**whole.tensors, **stem}))
    found, signed = evaluate_all(upper, images()), evaluate_all(whole, images())
    assert found["stem"].dtype == np.uint8
    assert found["stem"].max() > 127
    far = mismatches(found["stem"] * 0.03, signed["stem"] * 0.06, 0.0451)  # half a step of each
    assert far[0] == 0
    assert 0 < mismatches(found["logits"], signed["logits"])[1] < 0.1


def test_images_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"images are \(3, 10, 13\), but images is \(3, 13, 10\)"):
        evaluate(network(), images().transpose(0, 1, 3, 2))


def test_the_result_may_have_a_scale_and_an_output_may_be_read():
    graph = network(STEPS)
    early = replace(graph, output="pooled")
    found = evaluate(early, images())
    assert found.shape == (3, 8 * 7 * 5)
    numbers = evaluate_all(graph, images())["pooled"]
    np.testing.assert_array_equal(found, numbers.reshape(3, -1) * np.float32(STEPS["pooled"]))


def test_dequantize_ends_a_graph_of_integers():
    graph = network(STEPS)
    nodes = (*graph.nodes[:6], Dequantize(name="back", inputs=("mean",), output="real"))
    ended = replace(graph.with_nodes(nodes, Tensor("real", (8, 1, 1))), output="real")
    expected = evaluate_all(graph, images())["mean"].reshape(3, 8) * np.float32(STEPS["mean"])
    np.testing.assert_array_equal(evaluate(ended, images()), expected)


@pytest.mark.parametrize("precision", [Precision.FP16, Precision.BF16])
def test_narrow_formats_keep_every_tensor_in_them(precision):
    found, exact = evaluate_all(network(), images(), precision), evaluate_all(network(), images())
    for name in SHAPES:
        assert found[name].dtype == np.float32
        if name != "logits":
            np.testing.assert_array_equal(found[name], rounded(found[name], precision))
    np.testing.assert_array_equal(found["images"], rounded(images(), precision))
    error = np.abs(found["logits"] - exact["logits"]).max()
    unit = float(spacing(1.0, precision))
    assert unit / 100 < error / np.abs(exact["logits"]).max() < 4 * unit


def test_tf32_rounds_operands_and_not_results():
    found, exact = evaluate_all(network(), images(), Precision.TF32), evaluate_all(network(), images())
    np.testing.assert_array_equal(found["images"], images())
    assert mismatches(found["stem"], rounded(found["stem"], Precision.TF32))[0] > 1000
    by_hand = replace(network().nodes[0], weight=rounded(network().nodes[0].weight, Precision.TF32))
    stem = network().with_nodes((by_hand, *network().nodes[1:]))
    expected = evaluate_all(stem, rounded(images(), Precision.TF32))["stem"]
    np.testing.assert_array_equal(found["stem"], expected)
    error = np.abs(found["logits"] - exact["logits"]).max() / np.abs(exact["logits"]).max()
    assert 1e-6 < error < 4 * 2.0**-10


@pytest.mark.parametrize("precision", [Precision.TF32, Precision.FP16, Precision.BF16])
def test_integers_do_not_mind_the_format_of_what_is_real(precision):
    fine, coarse = evaluate_all(network(STEPS), images()), evaluate_all(network(STEPS), images(), precision)
    images_kept = {Precision.TF32: images()}.get(precision, rounded(images(), precision))
    near = from_half(images_kept, STEPS["integers"]) < 1e-4
    assert (
        (coarse["integers"] == np.clip(np.rint(images_kept / np.float32(STEPS["integers"])), -128, 127))
        | near
    ).all()
    if precision is Precision.TF32:
        for name, numbers in fine.items():
            np.testing.assert_array_equal(numbers, coarse[name])
