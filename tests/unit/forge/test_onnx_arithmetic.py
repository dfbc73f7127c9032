import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx_classifiers import check_like_runtime, classifier, nodes_of, only, read, refused_form
from onnx_graphs import node

from tensordyno.forge.graph import Activation, Add, Affine, Clamp, Concat, Softmax

CHANNELS = np.array([0.5, -2.0, 3.0], np.float32)
SHAPES = [(), (1,), (3, 1, 1), (1, 3, 1, 1), (1, 1, 1, 1)]


@given(st.sampled_from(["Add", "Sub", "Mul", "Div"]), st.sampled_from(SHAPES), st.booleans(), st.booleans())
def test_a_constant_for_each_channel_is_a_factor_and_an_offset(kind, shape, first, flat):
    if kind == "Div":
        first = True
    value = CHANNELS[: int(np.prod(shape))].reshape(shape)
    if flat:
        value = value.reshape(-1) if value.size == 3 else value.reshape(shape[:2])
    x = "pooled" if flat else "images"
    nodes = (
        [node("GlobalAveragePool", ["images"], "four"), node("Flatten", ["four"], "pooled")] if flat else []
    )
    nodes.append(node(kind, [x, "c"] if first else ["c", x], "result"))
    graph = check_like_runtime(classifier(nodes, {"c": value}))
    (found,) = (each for each in graph.nodes if isinstance(each, Affine))
    assert found.factor.shape == found.offset.shape == (3,)
    assert found.factor.dtype == found.offset.dtype == np.float32


def test_batch_normalisation():
    four = dict(zip("abcd", np.random.default_rng(0).uniform(0.3, 2, (4, 3)).astype(np.float32), strict=True))
    model = classifier([node("BatchNormalization", ["images", *four], epsilon=1e-3)], four)
    found = only(model, Affine)
    factor = four["a"] / np.sqrt(four["d"] + 1e-3)
    np.testing.assert_allclose(found.factor, factor, rtol=1e-6)
    np.testing.assert_allclose(found.offset, four["b"] - four["c"] * factor, rtol=1e-5)
    check_like_runtime(model)


def test_batch_normalisation_of_features():
    ones = np.ones(192, np.float32)
    nodes = [node("Flatten", ["images"], "f"), node("BatchNormalization", ["f", "a", "b", "a", "a"])]
    check_like_runtime(classifier(nodes, {"a": ones, "b": 2 * ones}, flat=False))


def test_a_sum_of_two_tensors():
    graph = check_like_runtime(classifier([node("Relu", ["images"], "r"), node("Add", ["images", "r"])]))
    assert graph.nodes[1].inputs == ("images", "r") and isinstance(graph.nodes[1], Add)
    twice = only(classifier([node("Add", ["images", "images"])]), Add)
    assert twice.inputs == ("images", "images")


def test_ranges():
    assert only(classifier([node("Relu", ["images"])]), Activation).clamp == Clamp()
    six = {"low": np.float32(0), "high": np.float32(6)}
    model = classifier([node("Clip", ["images", "low", "high"])], six)
    assert only(model, Activation).clamp == Clamp(0, 6)
    below = classifier([node("Clip", ["images", "", "high"])], {"high": np.float32(0.5)})
    assert only(below, Activation).clamp == Clamp(-np.inf, 0.5)
    check_like_runtime(below)
    assert nodes_of(classifier([node("Clip", ["images"])]), Activation) == []


def test_bounds_that_are_attributes():
    model = classifier([node("Clip", ["images"], min=-0.5, max=0.25)], opset=10)
    assert only(model, Activation).clamp == Clamp(-0.5, 0.25)
    above = classifier([node("Clip", ["images"], min=0.0)], opset=10)
    assert only(above, Activation).clamp == Clamp()
    largest = classifier([node("Clip", ["images"], min=0.0, max=float(np.finfo(np.float32).max))], opset=10)
    assert only(largest, Activation).clamp == Clamp()


@pytest.mark.parametrize("axis", [1, -3])
def test_concatenation_of_channels(axis):
    nodes = [node("Relu", ["images"], "r"), node("Concat", ["images", "r", "images"], "c", axis=axis)]
    graph = check_like_runtime(classifier(nodes))
    found = next(each for each in graph.nodes if isinstance(each, Concat))
    assert found.inputs == ("images", "r", "images")
    assert graph.tensor("c").shape == (9, 8, 8)


def test_concatenation_of_features():
    nodes = [node("Flatten", ["images"], "f"), node("Concat", ["f", "f"], axis=-1)]
    assert check_like_runtime(classifier(nodes, flat=False)).tensor("logits").shape == (384,)


@pytest.mark.parametrize("kind", ["Softmax", "LogSoftmax"])
@pytest.mark.parametrize(("opset", "axis"), [(11, {}), (13, {}), (13, {"axis": 1})])
def test_softmax(kind, opset, axis):
    model = classifier([node("Flatten", ["images"], "f"), node(kind, ["f"], **axis)], opset=opset, flat=False)
    assert only(model, Softmax).log == (kind == "LogSoftmax")
    check_like_runtime(model)


def constant(kind, value, first=True):
    return classifier([node(kind, ["images", "c"] if first else ["c", "images"], name="p")], {"c": value})


def two(kind, **attributes):
    nodes = [node("GlobalAveragePool", ["images"], "m")]
    return classifier([*nodes, node(kind, ["images", "m"], name="p", **attributes)])


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (lambda: constant("Div", CHANNELS[:1], first=False), "'Div' of a constant by a tensor (node 'p')"),
        (
            lambda: constant("Mul", np.ones(8, np.float32)),
            "'Mul' with a constant of the shape (8,) (node 'p')",
        ),
        (
            lambda: constant("Add", np.ones((1, 1, 3, 1, 1), np.float32)),
            "'Add' with a constant of the shape (1, 1, 3, 1, 1) (node 'p')",
        ),
        (lambda: two("Mul"), "'Mul' of two tensors (node 'p')"),
        (lambda: two("Add"), "'Add' of the shapes (3, 8, 8) and (3, 1, 1) (node 'p')"),
        (
            lambda: classifier([node("Concat", ["images", "images"], name="p", axis=2)]),
            "'Concat' over another axis than that of the channels (node 'p')",
        ),
        (
            lambda: classifier(
                [node("Concat", ["images", "c"], name="p", axis=1)], {"c": np.ones((1, 3, 8, 8))}
            ),
            "'Concat' with a constant in this place (node 'p')",
        ),
        (
            lambda: classifier([node("Softmax", ["images"], name="p", axis=1)]),
            "'Softmax' of something else than features (node 'p')",
        ),
    ],
)
def test_other_forms_are_refused(model, expected):
    assert refused_form(model()) == expected


def test_normalisation_that_trains_is_refused():
    four = dict.fromkeys("abcd", CHANNELS)
    model = classifier([node("BatchNormalization", ["images", *four], name="p", training_mode=1)], four)
    assert refused_form(model) == "'BatchNormalization' in training mode (node 'p')"


def test_nothing_but_its_axes_changes_a_tensor():
    graph = read(classifier([node("Identity", ["images"], "i"), node("Relu", ["i"])]))
    assert graph.nodes[0].inputs == ("images",)
