import numpy as np
import pytest
from forge_operations import dequantized, from_half, integers, normal, one, tensor, written
from hypothesis import given
from hypothesis import strategies as st

from tensordyno.forge import graph
from tensordyno.forge.graph import Clamp, Node
from tensordyno.forge.kernels.compare import mismatches
from tensordyno.forge.kernels.reference import OPERATIONS, compute
from tensordyno.forge.kernels.reference_values import Value

SEEDS = st.integers(0, 2**32)
SHAPES = st.tuples(st.sampled_from([1, 3, 7]), st.integers(1, 9), st.integers(1, 7), st.integers(1, 7))
SCALES = st.sampled_from([None, 0.031, 0.2])
OUT = {"inputs": ("i",), "output": "out", "name": "node"}


def values(seed, shape, scale, unsigned=False):
    random = np.random.default_rng(seed)
    return (
        Value(normal(random, *shape))
        if scale is None
        else integers(random, *shape, scale=scale, unsigned=unsigned)
    )


def check(found, expected, out, tolerance=1e-5):
    """Against real numbers of ONNX Runtime: within a tolerance, or integers but next to halves."""
    if out.scale is None:
        assert found.scale is None
        assert found.numbers.dtype == np.float32
        assert mismatches(found.numbers, expected, tolerance * np.abs(expected).max())[0] == 0
        return
    apart = np.abs(found.numbers.astype(np.int16) - written(expected, out))
    assert apart.max(initial=0) <= 1
    assert (from_half(expected, out.scale)[apart > 0] < 100 * tolerance).all()


def real(value):
    return value.numbers if value.scale is None else dequantized(value)


def test_every_operation_of_the_graph_has_its_oracle():
    kinds = {kind for kind in vars(graph).values() if isinstance(kind, type) and issubclass(kind, Node)}
    assert kinds - {Node} <= set(OPERATIONS)


def test_an_operation_that_nobody_knows():
    class Strange(Node):
        pass

    with pytest.raises(TypeError, match="Strange \\(node\\)"):
        compute(Strange(**OUT), [], tensor((1,)))


def test_a_result_of_another_shape_is_refused():
    node = graph.Activation(**OUT, clamp=Clamp())
    with pytest.raises(ValueError, match=r"node makes \(2, 3, 3\), but out is \(2, 3, 4\)"):
        compute(node, [values(0, (1, 2, 3, 3), None)], tensor((2, 3, 4)))


@given(SEEDS, SHAPES, SCALES, SCALES, SCALES, st.sampled_from([None, Clamp(), Clamp(0, 6)]), st.booleans())
def test_add(seed, shape, left, right, scale, clamp, unsigned):
    inputs = [values(seed, shape, left, unsigned), values(seed + 1, shape, right)]
    out = tensor(shape[1:], scale, unsigned and scale is not None)
    found = compute(graph.Add(name="node", inputs=("a", "b"), output="out", clamp=clamp), inputs, out)
    expected = one("Add", *map(real, inputs))
    expected = expected if clamp is None else np.clip(expected, clamp.low, clamp.high)
    check(found, expected, out)


@given(SEEDS, SHAPES)
def test_sums_of_equal_scales_are_sums_of_integers(seed, shape):
    """ONNX Runtime's own, on real numbers, is not always: 0.1 * 3 + 0.1 * 4 is not 0.1 * 7."""
    left, right = values(seed, shape, 0.031), values(seed + 1, shape, 0.031)
    node = graph.Add(name="node", inputs=("a", "b"), output="out")
    found = compute(node, [left, right], tensor(shape[1:], 0.031)).numbers
    exact = left.numbers.astype(np.int16) + right.numbers
    np.testing.assert_array_equal(found, np.clip(exact, -128, 127))


@given(SEEDS, SHAPES, st.lists(SCALES, min_size=1, max_size=3), SCALES)
def test_concat(seed, shape, scales, scale):
    inputs = [values(seed + place, shape, each) for place, each in enumerate(scales)]
    out = tensor((shape[1] * len(inputs), *shape[2:]), scale)
    found = compute(graph.Concat(**OUT), inputs, out)
    check(found, one("Concat", *map(real, inputs), axis=1), out)


@given(SEEDS, SHAPES, SCALES, st.lists(st.integers(0, 9), max_size=3))
def test_concat_of_splits_is_the_whole(seed, shape, scale, places):
    whole = values(seed, shape, scale)
    parts = np.split(whole.numbers, sorted(min(place, shape[1]) for place in places), axis=1)
    found = compute(
        graph.Concat(**OUT), [Value(part, whole.scale) for part in parts], tensor(shape[1:], scale)
    )
    assert found.numbers.dtype == whole.numbers.dtype
    np.testing.assert_array_equal(found.numbers, whole.numbers)


@given(SEEDS, SHAPES, SCALES, SCALES)
def test_relu(seed, shape, scale, made):
    source, out = values(seed, shape, scale), tensor(shape[1:], made, made is not None)
    found = compute(graph.Activation(**OUT, clamp=Clamp()), [source], out)
    check(found, one("Relu", real(source)), out)


@given(SEEDS, SHAPES, st.floats(-2, 0, width=32), st.floats(0, 6, width=32))
def test_clip(seed, shape, low, high):
    source = values(seed, shape, None)
    found = compute(graph.Activation(**OUT, clamp=Clamp(low, high)), [source], tensor(shape[1:]))
    expected = one("Clip", source.numbers, constants=[np.float32(low), np.float32(high)])
    np.testing.assert_array_equal(found.numbers, expected)


@given(SEEDS, SHAPES, SCALES, SCALES)
def test_affine_is_a_batch_normalisation(seed, shape, scale, made):
    random = np.random.default_rng(seed)
    gain, shift, average = (normal(random, shape[1]) for _ in range(3))
    spread = random.uniform(0.5, 2, shape[1]).astype(np.float32)
    source, out = values(seed, shape, scale), tensor(shape[1:], made)
    factor = (gain / np.sqrt(spread.astype(np.float64) + 1e-3)).astype(np.float32)
    found = compute(graph.Affine(**OUT, factor=factor, offset=shift - average * factor), [source], out)
    expected = one("BatchNormalization", real(source), constants=[gain, shift, average, spread], epsilon=1e-3)
    check(found, expected, out)


@given(SEEDS, SHAPES, st.sampled_from([1, 3, 5]), st.floats(0.01, 3), st.floats(0.1, 1.5), SCALES, SCALES)
def test_local_response_norm(seed, shape, size, alpha, beta, scale, made):
    source, out = values(seed, shape, scale), tensor(shape[1:], made)
    node = graph.LocalResponseNorm(**OUT, size=size, alpha=alpha, beta=beta, bias=1.5)
    expected = one("LRN", real(source), size=size, alpha=alpha, beta=beta, bias=1.5)
    check(compute(node, [source], out), expected, out, 3e-4)  # it slides sums of squares, which cancel


def test_an_even_window_of_channels_reaches_further_up():
    source = Value(np.float32([1, 2, 3, 4, 5]).reshape(1, 5, 1, 1))
    node = graph.LocalResponseNorm(**OUT, size=4, alpha=4.0, beta=1.0, bias=1.0)
    found = compute(node, [source], tensor((5, 1, 1))).numbers.ravel()
    sums = np.array([1 + 4 + 9, 1 + 4 + 9 + 16, 4 + 9 + 16 + 25, 9 + 16 + 25, 16 + 25])
    np.testing.assert_allclose(found, np.arange(1, 6) / (1 + sums), rtol=1e-7)  # ONNX Runtime wants odd sizes


@given(SEEDS, SHAPES, st.lists(st.integers(0, 3), min_size=4, max_size=4), SCALES)
def test_pad(seed, shape, pads, scale):
    source = values(seed, shape, scale)
    top, left, bottom, right = pads
    expected = one("Pad", real(source), constants=[np.int64([0, 0, top, left, 0, 0, bottom, right])])
    out = tensor(expected.shape[1:], scale)
    found = compute(graph.Pad(**OUT, pads=tuple(pads)), [source], out)
    check(found, expected, out)
    assert (found.numbers == 0).sum() >= (found.numbers[0].size - source.numbers[0].size) * shape[0]


@given(SEEDS, SHAPES, SCALES)
def test_reshape_keeps_numbers_in_order(seed, shape, scale):
    source = values(seed, shape, scale)
    flat = compute(graph.Reshape(**OUT), [source], tensor((int(np.prod(shape[1:])),), scale))
    np.testing.assert_array_equal(flat.numbers, one("Flatten", source.numbers))
    back = compute(graph.Reshape(**OUT), [flat], tensor(shape[1:], scale))
    np.testing.assert_array_equal(back.numbers, source.numbers)


@given(SEEDS, st.sampled_from([1, 3, 7]), st.integers(1, 30), SCALES, st.sampled_from([1.0, 100.0]))
def test_softmax(seed, n, features, scale, spread):
    source = values(seed, (n, features), scale)
    if scale is None:
        source = Value(source.numbers * np.float32(spread))
    found = compute(graph.Softmax(**OUT), [source], tensor((features,)))
    check(found, one("Softmax", real(source), axis=1), tensor((features,)))
    np.testing.assert_allclose(found.numbers.sum(axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize("unsigned", [False, True])
@given(seed=SEEDS, shape=SHAPES, scale=st.floats(0.005, 1))
def test_quantize_and_back(unsigned, seed, shape, scale):
    source, out = values(seed, shape, None), tensor(shape[1:], scale, unsigned)
    whole = compute(graph.Quantize(**OUT), [source], out)
    check(whole, source.numbers, out)
    back = compute(graph.Dequantize(**OUT), [whole], tensor(shape[1:]))
    np.testing.assert_array_equal(back.numbers, dequantized(whole))
    held = np.clip(source.numbers, *(np.float32(scale) * np.float32([0, 255] if unsigned else [-128, 127])))
    assert mismatches(back.numbers, held, scale * 0.50001)[0] == 0
