import numpy as np
import pytest
from onnx import TensorProto
from onnx_classifiers import check_like_runtime, classifier, nodes_of, read, refusal, refused_form
from onnx_graphs import node

from tensordyno.forge.graph import Activation, Clamp, Concat, Dequantize, MaxPool, Quantize, Reshape

STEP = np.float32(0.03)
ZEROS = [np.int8(0), np.uint8(128), np.uint8(0), np.int8(-128)]


def rounded(zero, between=(), last="steps", scale=STEP, **constants):
    """Images to integers, what is between, and back."""
    nodes = [
        node("QuantizeLinear", ["images", "s", "z"], "steps", name="q"),
        *between,
        node("DequantizeLinear", [last, "s", "z"], name="d"),
    ]
    return classifier(nodes, {"s": scale, "z": zero} | constants)


@pytest.mark.parametrize("zero", ZEROS)
def test_integers_around_zero(zero):
    graph = check_like_runtime(rounded(zero), tolerance=1e-6)
    assert [type(each) for each in graph.nodes[:2]] == [Quantize, Dequantize]
    steps = graph.tensor("steps")
    assert steps.scale == float(STEP)
    assert steps.unsigned == (zero == np.iinfo(zero.dtype).min)
    assert graph.tensor("dequantizelinear_out").scale is None


def test_without_a_zero_point_they_are_unsigned():
    nodes = [node("QuantizeLinear", ["images", "s"], "steps"), node("DequantizeLinear", ["steps", "s"])]
    graph = check_like_runtime(classifier(nodes, {"s": STEP.reshape(1)}))
    assert graph.tensor("steps").unsigned


def test_a_type_without_a_zero_point():
    nodes = [
        node("QuantizeLinear", ["images", "s"], "steps", output_dtype=TensorProto.INT8),
        node("DequantizeLinear", ["steps", "s"]),
    ]
    graph = read(classifier(nodes, {"s": STEP}, opset=21))
    assert not graph.tensor("steps").unsigned


@pytest.mark.parametrize("zero", ZEROS)
def test_bounds_of_integers_become_real(zero):
    low, high = (np.array(int(zero) + bound, zero.dtype) for bound in (3, 90))
    model = rounded(zero, [node("Clip", ["steps", "low", "high"], "held")], "held", low=low, high=high)
    graph = check_like_runtime(model, tolerance=1e-6)
    (found,) = (each for each in graph.nodes if isinstance(each, Activation))
    assert found.clamp == Clamp(pytest.approx(3 * 0.03), pytest.approx(90 * 0.03))
    assert graph.tensor("held").scale == float(STEP)
    assert graph.tensor("held").unsigned == graph.tensor("steps").unsigned


def test_the_largest_integer_is_no_bound():
    bounds = {"low": np.uint8(128), "high": np.uint8(255)}
    model = rounded(np.uint8(128), [node("Clip", ["steps", "low", "high"], "held")], "held", **bounds)
    (found,) = nodes_of(model, Activation)
    assert found.clamp == Clamp()
    check_like_runtime(model, tolerance=1e-6)


def test_relu_of_integers_is_at_the_zero_of_the_type():
    nodes = [node("Relu", ["steps"], "held")]
    assert nodes_of(rounded(np.int8(0), nodes, "held"), Activation)[0].clamp == Clamp()
    above = nodes_of(rounded(np.int8(-128), nodes, "held"), Activation)[0].clamp
    assert above == Clamp(pytest.approx(128 * 0.03), np.inf)


@pytest.mark.parametrize("zero", ZEROS)
def test_integers_pass_through_what_only_moves_or_chooses_them(zero):
    nodes = [
        node("MaxPool", ["steps"], "pooled", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        node("Concat", ["pooled", "steps"], "both", axis=1),
        node("Reshape", ["both", "t"], "r"),
    ]
    graph = check_like_runtime(rounded(zero, nodes, "r", t=np.array([0, -1])), tolerance=1e-6)
    assert {Concat, MaxPool, Reshape} <= {type(each) for each in graph.nodes}
    for name in ("pooled", "both", "r"):
        assert graph.tensor(name).scale == float(STEP)
        assert graph.tensor(name).unsigned == graph.tensor("steps").unsigned


def test_uneven_zero_points_name_the_tensor():
    error = refusal(rounded(np.uint8(114)))
    assert error.slug == "asymmetric-activations"
    expected = (
        "the tensor 'images' is quantized to uint8 around 114; forge multiplies integers around 0 only."
    )
    assert error.sentence == f"The ONNX graph: {expected}"
    assert "dyno quantize" in error.remedy


def other_way_back(**constants):
    nodes = [
        node("QuantizeLinear", ["images", "s", "z"], "steps"),
        node("DequantizeLinear", ["steps", "t", "y"], name="d"),
    ]
    return classifier(nodes, {"s": STEP, "z": np.uint8(0), "t": STEP, "y": np.uint8(0)} | constants)


def two_grids():
    nodes = [
        node("QuantizeLinear", ["images", "s", "z"], "one"),
        node("QuantizeLinear", ["images", "t", "z"], "other"),
        node("Concat", ["one", "other"], "both", name="c", axis=1),
        node("DequantizeLinear", ["both", "s", "z"]),
    ]
    return classifier(nodes, {"s": STEP, "t": 2 * STEP, "z": np.int8(0)})


OTHER_GRID = "'DequantizeLinear' with another scale or zero point than its integers have (node 'd')"


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (lambda: other_way_back(t=2 * STEP), OTHER_GRID),
        (lambda: other_way_back(y=np.uint8(3)), OTHER_GRID),
        (two_grids, "'Concat' of integers with different scales (node 'c')"),
        (
            lambda: rounded(np.zeros(3, np.int8), scale=np.full(3, STEP)),
            "'QuantizeLinear' with a scale for each channel of an activation (node 'q')",
        ),
        (lambda: rounded(np.int8(0), scale=np.float32(0)), "'QuantizeLinear' with the scale 0.0 (node 'q')"),
        (lambda: rounded(np.int16(0)), "'QuantizeLinear' to int16 (node 'q')"),
    ],
)
def test_other_forms_are_refused(model, expected):
    model = model()
    if "int16" in expected:
        model.opset_import[0].version = 21
    assert refused_form(model) == expected


def test_real_operations_of_integers_are_refused():
    model = rounded(np.int8(0), [node("Add", ["steps", "steps"], "sum", name="a")], "sum")
    assert refused_form(model) == "'Add' of integers (node 'a')"
