import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from onnx_classifiers import check_like_runtime, classifier, nodes_of, only, read, refused_form
from onnx_graphs import node

from tensordyno.forge.graph import AveragePool, GlobalAveragePool, LocalResponseNorm, MaxPool, Pad, Reshape


def pool(kind, shape=("N", 3, 8, 8), **attributes):
    return classifier([node(kind, ["images"], "pooled", name="p", **attributes)], shape=shape)


@st.composite
def pools(draw):
    pair = st.lists(st.integers(1, 4), min_size=2, max_size=2)
    kernel = draw(pair)
    automatic = draw(st.sampled_from(["NOTSET", "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"]))
    form = {"kernel_shape": kernel, "strides": draw(pair), "auto_pad": automatic}
    if automatic == "NOTSET":
        form["pads"] = [draw(st.integers(0, k - 1)) for k in kernel * 2]
        form["ceil_mode"] = draw(st.integers(0, 1))
    elif automatic != "VALID":  # ONNX Runtime refuses strides that leave values out
        form["strides"] = [min(pair) for pair in zip(form["strides"], kernel, strict=True)]
    return form, draw(st.lists(st.integers(4, 9), min_size=2, max_size=2))


@given(pools())
def test_every_form_of_a_maximum_computes_what_the_runtime_does(drawn):
    form, size = drawn
    found = check_like_runtime(pool("MaxPool", ("N", 3, *size), **form)).nodes[0]
    assert not found.ceil


@given(pools(), st.integers(0, 1))
def test_every_form_of_a_mean_computes_what_the_runtime_does(drawn, counts):
    form, size = drawn
    assume(not (counts and form.get("ceil_mode")))  # versions of ONNX Runtime divide by different numbers
    check_like_runtime(pool("AveragePool", ("N", 3, *size), **form, count_include_pad=counts))


def test_strides_are_1_unless_said():
    found = only(pool("MaxPool", kernel_shape=[3, 2]), MaxPool)
    assert found == MaxPool(name="p", inputs=("images",), output="pooled", kernel=(3, 2), stride=(1, 1))


def test_a_last_window_over_the_edge_is_more_padding():
    graph = read(pool("MaxPool", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1))
    assert graph.nodes[0].pads == (0, 0, 1, 1)
    assert graph.tensor("pooled").shape == (3, 4, 4)


def test_a_window_that_would_begin_in_the_padding_behind_is_none():
    graph = read(pool("MaxPool", kernel_shape=[2, 2], strides=[3, 3], pads=[0, 0, 1, 1], ceil_mode=1))
    assert graph.tensor("pooled").shape == (3, 3, 3)


def test_counted_padding_keeps_the_window_over_the_edge():
    form = {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}
    counted = only(pool("AveragePool", pads=[1, 1, 0, 0], count_include_pad=1, **form), AveragePool)
    assert not counted.ceil and counted.count_pads and counted.pads == (1, 1, 0, 0)
    over = only(pool("AveragePool", count_include_pad=1, **form), AveragePool)
    assert over.ceil and over.count_pads and over.pads == (0, 0, 0, 0)
    left_out = only(pool("AveragePool", **form), AveragePool)
    assert not left_out.ceil and not left_out.count_pads and left_out.pads == (0, 0, 1, 1)


def test_means_of_the_whole_image():
    for model in (
        pool("GlobalAveragePool"),
        pool("AveragePool", kernel_shape=[8, 8]),
        classifier([node("ReduceMean", ["images", "axes"], "pooled")], {"axes": np.array([2, 3])}),
        classifier([node("ReduceMean", ["images"], "pooled", axes=[-1, -2])], opset=17),
    ):
        graph = check_like_runtime(model)
        assert isinstance(graph.nodes[0], GlobalAveragePool)
        assert graph.tensor("pooled").shape == (3, 1, 1)


def test_a_mean_that_drops_its_axes_is_reshaped():
    model = classifier(
        [node("ReduceMean", ["images", "a"], keepdims=0)], {"a": np.array([-2, -1])}, flat=False
    )
    graph = check_like_runtime(model)
    assert [type(each) for each in graph.nodes] == [GlobalAveragePool, Reshape]
    assert graph.tensor("logits").shape == (3,)


@pytest.mark.parametrize("opset", [10, 13, 18])
def test_zeros_around_the_image(opset):
    pads = [0, 0, 1, 2, 0, 0, 3, 0]
    if opset == 10:
        model = classifier([node("Pad", ["images"], pads=pads)], opset=opset)
    else:
        model = classifier([node("Pad", ["images", "p"])], {"p": np.array(pads)}, opset=opset)
    assert only(model, Pad).pads == (1, 2, 3, 0)
    check_like_runtime(model)


def test_padding_of_named_axes():
    constants = {"p": np.array([1, 2, 3, 4]), "v": np.float32(0), "a": np.array([-1, 2])}
    model = classifier([node("Pad", ["images", "p", "v", "a"])], constants)
    assert only(model, Pad).pads == (2, 1, 4, 3)
    check_like_runtime(model)


@pytest.mark.parametrize("given_numbers", [{}, {"alpha": 0.5, "beta": 0.6, "bias": 2.0}])
def test_local_response_normalisation(given_numbers):
    model = classifier([node("LRN", ["images"], size=3, **given_numbers)])
    found = only(model, LocalResponseNorm)
    expected = {"alpha": 1e-4, "beta": 0.75, "bias": 1.0} | given_numbers
    for name, value in expected.items():
        assert getattr(found, name) == pytest.approx(value)
    check_like_runtime(model)


def padding(value=0.0, pads=(0, 0, 1, 1, 0, 0, 1, 1), **attributes):
    constants = {"p": np.array(pads), "v": np.float32(value)}
    return classifier([node("Pad", ["images", "p", "v"], name="p", **attributes)], constants)


def mean(*axes):
    return classifier([node("ReduceMean", ["images", "a"], name="p")], {"a": np.array(axes)})


def positions():
    pooled = node("MaxPool", ["images"], "pooled", name="p", kernel_shape=[2, 2])
    pooled.output.append("places")
    return classifier([pooled, node("Cast", ["places"], name="c", to=1)])


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (
            lambda: pool("MaxPool", kernel_shape=[2, 2], dilations=[2, 2]),
            "'MaxPool' with dilations (node 'p')",
        ),
        (
            lambda: pool("MaxPool", kernel_shape=[2, 2], auto_pad="VALID", ceil_mode=1),
            "'MaxPool' with auto_pad and ceil_mode (node 'p')",
        ),
        (
            lambda: pool("MaxPool", kernel_shape=[2, 2], pads=[0, 0, 2, 0]),
            "'MaxPool' with padding as wide as its window (node 'p')",
        ),
        (lambda: padding(1.0), "'Pad' with another value than 0 (node 'p')"),
        (lambda: padding(mode="reflect"), "'Pad' in mode reflect (node 'p')"),
        (
            lambda: padding(pads=(0, 1, 0, 0, 0, 0, 0, 0)),
            "'Pad' of batch or channels, or by less than nothing (node 'p')",
        ),
        (
            lambda: padding(pads=(0, 0, -1, 0, 0, 0, 0, 0)),
            "'Pad' of batch or channels, or by less than nothing (node 'p')",
        ),
        (lambda: mean(1), "'ReduceMean' over other axes than height and width (node 'p')"),
        (positions, "'Cast' that reads 'places' (node 'c')"),
    ],
)
def test_other_forms_are_refused(model, expected):
    assert refused_form(model()) == expected


def test_a_second_output_that_nothing_reads_does_no_harm():
    pooled = node("MaxPool", ["images"], "pooled", kernel_shape=[2, 2])
    pooled.output.append("places")
    assert len(nodes_of(classifier([pooled]), MaxPool)) == 1
