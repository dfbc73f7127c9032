import numpy as np
import pytest
from forge_operations import dequantized, from_half, integers, normal, one, tensor, written
from hypothesis import assume, given
from hypothesis import strategies as st

from tensordyno.forge.graph import AveragePool, GlobalAveragePool, MaxPool
from tensordyno.forge.kernels.compare import mismatches
from tensordyno.forge.kernels.reference_pooling import average_pool, global_average_pool, max_pool
from tensordyno.forge.kernels.reference_values import Value, store
from tensordyno.forge.kernels.reference_windows import output_size

SEEDS = st.integers(0, 2**32)


@st.composite
def windows(draw):
    """What a pool is made of, the shape of its images and that of its result."""
    kernel = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    pads = tuple(draw(st.integers(0, kernel[place % 2] - 1)) for place in range(4))
    stride = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    ceil = draw(st.booleans())
    shape = (
        draw(st.sampled_from([1, 3, 7])),
        draw(st.integers(1, 3)),
        *draw(st.tuples(*[st.integers(1, 11)] * 2)),
    )
    assume(all(shape[2 + axis] + pads[axis] + pads[axis + 2] >= kernel[axis] for axis in (0, 1)))
    size = output_size(np.empty(shape), kernel, stride, pads, ceil)
    assume(min(size) > 0)
    return {"kernel": kernel, "stride": stride, "pads": pads, "ceil": ceil}, shape, (shape[1], *size)


def maximum(words):
    return MaxPool(name="pool", inputs=("i",), output="o", **words)


def mean(words, counts=False):
    return AveragePool(name="pool", inputs=("i",), output="o", **words, count_pads=counts)


def by_onnxruntime(kind, words, images, **attributes):
    return one(
        kind,
        images,
        kernel_shape=words["kernel"],
        strides=words["stride"],
        pads=words["pads"],
        ceil_mode=int(words["ceil"]),
        **attributes,
    )


@given(windows(), SEEDS)
def test_maxima_of_real_numbers(case, seed):
    words, shape, size = case
    images = normal(np.random.default_rng(seed), *shape)
    found = max_pool(maximum(words), [Value(images)], tensor(size)).numbers
    np.testing.assert_array_equal(found, by_onnxruntime("MaxPool", words, images))


@given(windows(), SEEDS, st.booleans(), st.floats(0.001, 10))
def test_maxima_of_integers_are_integers(case, seed, unsigned, scale):
    words, shape, size = case
    image = integers(np.random.default_rng(seed), *shape, scale=scale, unsigned=unsigned)
    found = max_pool(maximum(words), [image], tensor(size, scale, unsigned)).numbers
    expected = by_onnxruntime("MaxPool", words, image.numbers)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


@given(windows(), SEEDS, st.floats(0.01, 0.1), st.booleans())
def test_maxima_and_rounding_change_places(case, seed, scale, unsigned):
    words, shape, size = case
    images = normal(np.random.default_rng(seed), *shape, scale=3)
    late = max_pool(maximum(words), [Value(images)], tensor(size, scale, unsigned))
    early = max_pool(
        maximum(words), [store(images, tensor(shape[1:], scale, unsigned))], tensor(size, scale, unsigned)
    )
    np.testing.assert_array_equal(late.numbers, early.numbers)


@given(windows(), SEEDS, st.booleans())
def test_means_of_real_numbers(case, seed, counts):
    words, shape, size = case
    images = normal(np.random.default_rng(seed), *shape)
    found = average_pool(mean(words, counts), [Value(images)], tensor(size)).numbers
    expected = by_onnxruntime("AveragePool", words, images, count_include_pad=int(counts))
    assert mismatches(found, expected, 1e-5 * np.abs(images).max())[0] == 0


@given(windows(), SEEDS, st.booleans(), st.booleans(), st.booleans())
def test_means_of_integers_are_those_of_onnxruntime_but_next_to_halves(case, seed, counts, unsigned, same):
    words, shape, size = case
    random = np.random.default_rng(seed)
    image = integers(random, *shape, scale=random.uniform(0.01, 0.1), unsigned=unsigned)
    real = by_onnxruntime("AveragePool", words, dequantized(image), count_include_pad=int(counts))
    out = tensor(size, float(image.scale) * (1 if same else random.uniform(0.3, 2)), unsigned)
    found = average_pool(mean(words, counts), [image], out).numbers.astype(np.int16)
    apart = np.abs(found - written(real, out))
    assert apart.max() <= 1
    assert (from_half(real, out.scale)[apart > 0] < 1e-4).all()


@given(windows(), SEEDS, st.booleans(), st.floats(0.01, 0.1))
def test_means_between_equal_scales_round_exact_halves_to_even(case, seed, counts, scale):
    words, shape, size = case
    image = integers(np.random.default_rng(seed), *shape, scale=scale)
    found = average_pool(mean(words, counts), [image], tensor(size, scale)).numbers
    exact = average_pool(mean(words, counts), [Value(image.numbers.astype(np.float32))], tensor(size)).numbers
    np.testing.assert_array_equal(found, np.rint(exact))


def test_how_often_halves_part_us_from_onnxruntime():
    """Means of four have one half in four; ONNX Runtime sums real numbers, which mostly keeps them."""
    words = {"kernel": (2, 2), "stride": (2, 2), "pads": (0, 0, 0, 0), "ceil": False}
    apart = []
    for scale in (0.0371, 0.011, 0.0713, 0.05):
        image = integers(np.random.default_rng(4), 3, 16, 40, 40, scale=scale)
        out = tensor((16, 20, 20), scale)
        expected = written(by_onnxruntime("AveragePool", words, dequantized(image)), out)
        count, largest = mismatches(average_pool(mean(words), [image], out).numbers, expected)
        assert largest <= 1
        apart.append(count / expected.size)
    assert 0.03 < max(apart) < 0.08


@given(windows(), st.integers(-128, 127))
def test_the_mean_of_equal_numbers_is_that_number(case, number):
    words, shape, size = case
    image = Value(np.full(shape, number, np.int8), np.float32(0.3))
    found = average_pool(mean(words), [image], tensor(size, 0.3)).numbers
    assert (found == number).all()


@pytest.mark.parametrize("flat", [False, True])
@given(seed=SEEDS, height=st.integers(1, 9), width=st.integers(1, 9), scale=st.sampled_from([None, 0.03]))
def test_the_mean_of_all_is_one_window(flat, seed, height, width, scale):
    random = np.random.default_rng(seed)
    shape = 3, 2, height, width
    image = Value(normal(random, *shape)) if scale is None else integers(random, *shape, scale=scale)
    node = GlobalAveragePool(name="pool", inputs=("i",), output="o")
    words = {"kernel": (height, width), "stride": (1, 1)}
    found = global_average_pool(node, [image], tensor((2,) if flat else (2, 1, 1), scale))
    expected = average_pool(mean(words), [image], tensor((2, 1, 1), scale))
    np.testing.assert_allclose(found.numbers.reshape(3, 2, 1, 1), expected.numbers, rtol=1e-6)
    assert found.scale == expected.scale
    theirs = one("GlobalAveragePool", image.real)
    assert mismatches(found.real.reshape(theirs.shape), theirs, 1e-5 if scale is None else 0.0151)[0] == 0


@given(windows(), SEEDS, st.booleans())
def test_means_of_integers_without_a_scale_behind_them(case, seed, counts):
    words, shape, size = case
    image = integers(np.random.default_rng(seed), *shape)
    found = average_pool(mean(words, counts), [image], tensor(size))
    assert found.scale is None
    expected = average_pool(mean(words, counts), [Value(image.real)], tensor(size)).numbers
    assert mismatches(found.numbers, expected, 1e-6 * 128 * 0.05)[0] == 0
