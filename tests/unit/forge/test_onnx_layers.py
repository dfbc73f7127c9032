import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx_classifiers import check_like_runtime, classifier, only, read, refusal, refused_form
from onnx_graphs import node

from tensordyno.forge.graph import Convolution

RANDOM = np.random.default_rng(0)


def weights(*shape):
    return RANDOM.standard_normal(shape).astype(np.float32)


def conv(weight, bias=None, shape=("N", 3, 8, 8), **attributes):
    constants = {"w": weight} | ({} if bias is None else {"b": bias})
    return classifier([node("Conv", ["images", *constants], name="c", **attributes)], constants, shape)


def integer_conv(integers, scale, zero, images="images", **attributes):
    """Weights as a DequantizeLinear of integers; `axis` is its attribute."""
    constants = {"i": integers, "s": np.asarray(scale, np.float32), "z": zero}
    nodes = [
        node("DequantizeLinear", ["i", "s", "z"], "w", **attributes),
        node("Conv", [images, "w"], name="c"),
    ]
    return classifier(nodes, constants)


INTEGERS = RANDOM.integers(-127, 128, (4, 3, 3, 3)).astype(np.int8)


@st.composite
def windows(draw):
    pair = st.lists(st.integers(1, 3), min_size=2, max_size=2)
    return {
        "auto_pad": draw(st.sampled_from(["NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"])),
        "strides": draw(pair),
        "dilations": draw(pair),
        "kernel": draw(pair),
        "group": draw(st.sampled_from([1, 3])),
        "size": draw(st.lists(st.integers(7, 11), min_size=2, max_size=2)),
        "pads": draw(st.lists(st.integers(0, 2), min_size=4, max_size=4)),
    }


@given(windows())
def test_every_form_of_a_convolution_computes_what_the_runtime_does(form):
    kernel, size, pads = form.pop("kernel"), form.pop("size"), form.pop("pads")
    if form["auto_pad"] == "NOTSET":
        form["pads"] = pads
    elif form["auto_pad"].startswith("SAME"):
        form["dilations"] = [1, 1]  # ONNX Runtime pads dilated windows its own way
    model = conv(weights(6, 3 // form["group"], *kernel), weights(6), ("N", 3, *size), **form)
    graph = check_like_runtime(model)
    found = graph.nodes[0]
    explicit = {"pads": list(found.pads)} | {key: form[key] for key in ("strides", "dilations", "group")}
    again = read(conv(found.weight, found.bias, ("N", 3, *size), **explicit))
    assert again.tensors == graph.tensors
    assert again.nodes[0].pads == found.pads


def test_a_plain_convolution_has_the_defaults_of_onnx():
    weight, bias = weights(4, 3, 3, 3), weights(4)
    found = only(conv(weight, bias), Convolution)
    assert (found.stride, found.pads, found.dilation, found.groups) == ((1, 1), (0, 0, 0, 0), (1, 1), 1)
    assert found.inputs == ("images",) and found.name == "c" and found.weight_scale is None
    np.testing.assert_array_equal(found.weight, weight)
    np.testing.assert_array_equal(found.bias, bias)


def test_same_upper_pads_behind_and_same_lower_before():
    upper = only(conv(weights(4, 3, 2, 2), auto_pad="SAME_UPPER"), Convolution)
    lower = only(conv(weights(4, 3, 2, 2), auto_pad="SAME_LOWER"), Convolution)
    assert upper.pads == (0, 0, 1, 1) and lower.pads == (1, 1, 0, 0)


def test_dilated_same_padding_keeps_the_size_of_the_image():
    graph = read(conv(weights(4, 3, 3, 3), auto_pad="SAME_UPPER", dilations=[2, 3]))
    assert graph.nodes[0].pads == (2, 3, 2, 3)
    assert graph.tensor(graph.nodes[0].output).shape == (4, 8, 8)


def test_depthwise_and_not_square():
    model = conv(weights(3, 1, 3, 5), shape=("N", 3, 7, 12), group=3, strides=[2, 1], pads=[1, 2, 1, 2])
    graph = check_like_runtime(model)
    assert graph.tensor(graph.nodes[0].output).shape == (3, 4, 12)


@pytest.mark.parametrize("transposed", [0, 1])
def test_a_gemm_is_a_convolution_of_one_pixel(transposed):
    weight, bias = weights(192, 5), weights(1, 5)
    nodes = [
        node("Flatten", ["images"], "flat"),
        node("Gemm", ["flat", "w", "b"], transB=transposed, alpha=0.5, beta=3.0),
    ]
    model = classifier(nodes, {"w": weight.T.copy() if transposed else weight, "b": bias}, flat=False)
    graph = check_like_runtime(model, tolerance=1e-3)
    assert graph.nodes[1].weight.shape == (5, 192, 1, 1)
    assert graph.tensor("logits").shape == (5,)


def test_a_gemm_adds_one_number_to_all():
    nodes = [node("Flatten", ["images"], "flat"), node("Gemm", ["flat", "w", "b"])]
    check_like_runtime(
        classifier(nodes, {"w": weights(192, 5), "b": np.float32(2)}, flat=False), tolerance=1e-3
    )


def test_a_product_with_a_constant():
    nodes = [node("Flatten", ["images"], "flat"), node("MatMul", ["flat", "w"])]
    graph = check_like_runtime(classifier(nodes, {"w": weights(192, 5)}, flat=False), tolerance=1e-3)
    assert graph.nodes[1].bias is None


def test_integer_weights_keep_their_integers_and_scales():
    scale = RANDOM.uniform(0.01, 0.02, 4).astype(np.float32)
    model = integer_conv(INTEGERS, scale, np.zeros(4, np.int8), axis=0)
    found = only(model, Convolution)
    assert found.weight.dtype == np.int8
    np.testing.assert_array_equal(found.weight, INTEGERS)
    np.testing.assert_array_equal(found.weight_scale, scale)
    check_like_runtime(model)


@pytest.mark.parametrize(("kind", "zero"), [(np.int8, 0), (np.uint8, 128), (np.int8, 5)])
def test_one_scale_for_all_channels_and_any_zero_point_that_leaves_int8(kind, zero):
    integers = np.clip(INTEGERS.astype(int), -120, 120) + zero
    model = integer_conv(integers.astype(kind), 0.01, np.array(zero, kind))
    found = only(model, Convolution)
    np.testing.assert_array_equal(found.weight, integers - zero)
    np.testing.assert_array_equal(found.weight_scale, np.full(4, 0.01, np.float32))
    check_like_runtime(model)


@pytest.mark.parametrize("transposed", [0, 1])
def test_integer_weights_of_a_gemm(transposed):
    integers = RANDOM.integers(-127, 128, (5, 192) if transposed else (192, 5)).astype(np.int8)
    scale = RANDOM.uniform(0.01, 0.02, 5).astype(np.float32)
    nodes = [
        node("DequantizeLinear", ["i", "s"], "w", axis=1 - transposed),
        node("Flatten", ["images"], "flat"),
        node("Gemm", ["flat", "w"], transB=transposed, alpha=2.0),
    ]
    model = classifier(nodes, {"i": integers, "s": scale}, flat=False)
    found = only(model, Convolution)
    np.testing.assert_array_equal(found.weight[:, :, 0, 0], integers if transposed else integers.T)
    np.testing.assert_array_equal(found.weight_scale, 2 * scale)
    check_like_runtime(model, tolerance=1e-3)


def test_integer_weights_that_are_transposed_before_their_product():
    integers = RANDOM.integers(-127, 128, (5, 192)).astype(np.int8)
    scale = RANDOM.uniform(0.01, 0.02, 5).astype(np.float32)
    nodes = [
        node("DequantizeLinear", ["i", "s"], "rows", axis=0),
        node("Transpose", ["rows"], "w", perm=[1, 0]),
        node("Flatten", ["images"], "flat"),
        node("MatMul", ["flat", "w"]),
    ]
    model = classifier(nodes, {"i": integers, "s": scale}, flat=False)
    found = only(model, Convolution)
    np.testing.assert_array_equal(found.weight[:, :, 0, 0], integers)
    np.testing.assert_array_equal(found.weight_scale, scale)
    check_like_runtime(model, tolerance=1e-3)


def test_weights_that_the_file_rounds_itself_become_integers():
    """NNCF and modelopt store real weights and a QuantizeLinear behind them."""
    scale = np.array([0.01, 0.02, 0.01, 0.03], np.float32)
    nodes = [
        node("QuantizeLinear", ["r", "s", "z"], "i", axis=0),
        node("DequantizeLinear", ["i", "s", "z"], "w", axis=0),
        node("Conv", ["images", "w"]),
    ]
    real = weights(4, 3, 3, 3)
    model = classifier(nodes, {"r": real, "s": scale, "z": np.zeros(4, np.int8)})
    found = only(model, Convolution)
    expected = np.clip(np.rint(real / scale[:, None, None, None]), -128, 127)
    np.testing.assert_array_equal(found.weight, expected)
    check_like_runtime(model)


def test_an_integer_bias_becomes_real():
    integers, scale = np.array([1000, -70000, 3, 0], np.int32), np.array([1e-3, 2e-3, 3e-3, 1], np.float32)
    nodes = [
        node("DequantizeLinear", ["i", "s"], "b", axis=0),
        node("Conv", ["images", "w", "b"]),
    ]
    model = classifier(nodes, {"i": integers, "s": scale, "w": weights(4, 3, 3, 3)})
    np.testing.assert_array_equal(only(model, Convolution).bias, integers.astype(np.float32) * scale)
    check_like_runtime(model)


def test_uneven_zero_points_of_weights_are_refused():
    model = integer_conv(INTEGERS.view(np.uint8), 0.01, np.uint8(100))
    assert refusal(model).slug == "asymmetric-weights"
    assert "the weights 'w' of node 'c'" in refusal(model).sentence


def product(**attributes):
    nodes = [node("Flatten", ["images"], "flat"), node("Gemm", ["flat", "w", "b"], name="c", **attributes)]
    return classifier(nodes, {"w": weights(192, 5), "b": weights(3, 5)}, ("N", 3, 8, 8), flat=False)


def of_images():
    return classifier([node("MatMul", ["images", "w"], name="c")], {"w": weights(8, 5)})


def left():
    nodes = [node("Flatten", ["images"], "flat"), node("MatMul", ["w", "flat"], name="c")]
    return classifier(nodes, {"w": weights(2, 2)}, (2, 3, 8, 8), flat=False)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (lambda: conv(weights(4, 3, 3)), "'Conv' with 1-D weights (node 'c')"),
        (lambda: conv(weights(4, 3, 9, 9)), "'Conv' with a window larger than the image (node 'c')"),
        (
            lambda: classifier([node("Conv", ["images", "images"], name="c")]),
            "'Conv' with computed weights (node 'c')",
        ),
        (
            lambda: integer_conv(INTEGERS, np.ones(3), np.zeros(3, np.int8), axis=1),
            "'Conv' with weights that have no scale for each output channel (node 'c')",
        ),
        (lambda: product(transA=1), "'Gemm' with transA (node 'c')"),
        (product, "'Gemm' with a bias of the shape (3, 5) (node 'c')"),
        (of_images, "'MatMul' of 4 axes (node 'c')"),
        (left, "'MatMul' with a constant in this place (node 'c')"),
    ],
)
def test_other_forms_are_refused(model, expected):
    assert refused_form(model()) == expected
