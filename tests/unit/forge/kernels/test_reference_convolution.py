from dataclasses import replace

import numpy as np
import pytest
from forge_operations import convolutions, dequantized, from_half, integers, normal, one, tensor, written
from hypothesis import given
from hypothesis import strategies as st

from tensordyno.forge.graph import Convolution
from tensordyno.forge.kernels.compare import mismatches
from tensordyno.forge.kernels.number_formats import fused_multiply_add
from tensordyno.forge.kernels.reference_convolution import borderline, convolution, exact_sums
from tensordyno.forge.kernels.reference_values import Value, per_channel, reciprocal


def by_onnxruntime(node, inputs):
    """Real result, node by node."""
    images = [value.numbers if value.scale is None else dequantized(value) for value in inputs]
    weight = node.weight
    if node.weight_scale is not None:
        zeros = np.zeros(len(weight), np.int8)
        weight = one("DequantizeLinear", weight, constants=[node.weight_scale, zeros], axis=0)
    fixed = [weight] if node.bias is None else [weight, node.bias]
    found = one("Conv", images[0], constants=fixed, **attributes(node))
    if node.has_residual:
        found = one("Add", found, images[1])
    return found if node.clamp is None else np.clip(found, node.clamp.low, node.clamp.high)


def attributes(node):
    words = {"strides": node.stride, "pads": node.pads, "dilations": node.dilation, "group": node.groups}
    return words | {"kernel_shape": node.weight.shape[2:]}


@given(convolutions(real=True))
def test_real_numbers_are_as_onnxruntime_has_them(case):
    node, inputs, size = case
    found = convolution(node, inputs, tensor(size)).numbers
    expected = by_onnxruntime(node, inputs)
    assert found.dtype == np.float32
    assert mismatches(found, expected, 1e-5 * np.abs(expected).max())[0] == 0


@given(convolutions())
def test_sums_of_integers_are_exact(case):
    node, (image, *_), _ = case
    words = {key: value for key, value in attributes(node).items() if key != "kernel_shape"}
    zeros = [np.zeros((), image.numbers.dtype), np.zeros((), np.int8)]
    shifted = [image.numbers, node.weight]
    if image.numbers.dtype == np.int8:  # ONNX Runtime's ConvInteger wants uint8
        shifted[0], zeros[0] = (image.numbers.astype(np.int16) + 128).astype(np.uint8), np.uint8(128)
    expected = one("ConvInteger", shifted[0], constants=[node.weight, *zeros], **words)
    np.testing.assert_array_equal(exact_sums(node, image.numbers), expected)


@given(convolutions(), st.booleans())
def test_integers_are_as_onnxruntime_has_them_but_next_to_halves(case, unsigned):
    node, inputs, size = case
    real = by_onnxruntime(node, inputs)
    out = tensor(size, float(np.abs(real).max() + 0.1) / 120, unsigned)
    found = convolution(node, inputs, out).numbers
    apart = np.abs(found.astype(np.int16) - written(real, out))
    assert apart.max() <= 1
    assert (from_half(real, out.scale)[apart > 0] < 2e-4).all()
    assert (apart > 0).mean() <= 0.001 or (apart > 0).sum() == 1


def test_a_large_convolution_differs_from_onnxruntime_in_few_places():
    random = np.random.default_rng(0)
    weight = random.integers(-127, 128, (64, 64, 3, 3), np.int8)
    scales = random.uniform(0.001, 0.002, 64).astype(np.float32)
    node = Convolution(
        name="conv", inputs=("i",), output="o", weight=weight, weight_scale=scales, pads=(1, 1, 1, 1)
    )
    image = integers(random, 3, 64, 28, 28, scale=0.0371)
    real = by_onnxruntime(node, [image])
    out = tensor((64, 28, 28), float(np.abs(real).max()) / 127)
    count, largest = mismatches(convolution(node, [image], out).numbers, written(real, out))
    assert largest <= 1
    assert count <= 15  # of 150,528; ONNX Runtime sums in float32 and divides


def test_rounding_and_saturation_by_hand():
    node = Convolution(
        name="n",
        inputs=("i",),
        output="o",
        weight=np.ones((1, 1, 1, 1), np.int8),
        weight_scale=np.ones(1, np.float32),
    )
    image = Value(np.int8([[[[1, 3, 5, -1, -3, 127, -128, 2]]]]), np.float32(1))
    halves = convolution(node, [image], tensor((1, 1, 8), 2.0))
    assert halves.numbers.ravel().tolist() == [0, 2, 2, 0, -2, 64, -64, 1]
    quarters = convolution(node, [image], tensor((1, 1, 8), 0.25))
    assert quarters.numbers.ravel().tolist() == [4, 12, 20, -4, -12, 127, -128, 8]
    whole = convolution(node, [image], tensor((1, 1, 8), 0.5, True))
    assert whole.numbers.ravel().tolist() == [2, 6, 10, 0, 0, 254, 0, 4]


def contracted_kernel(node, inputs, out):
    """The stated steps, but for two fused multiply-adds."""
    factor = inputs[0].scale * node.weight_scale
    bias = per_channel(np.zeros(len(factor)) if node.bias is None else node.bias)
    value = fused_multiply_add(
        exact_sums(node, inputs[0].numbers).astype(np.float32), per_channel(factor), bias
    )
    if node.has_residual:
        value = fused_multiply_add(inputs[1].numbers.astype(np.float32), inputs[1].scale, value)
    if node.clamp is not None:
        value = np.clip(value, np.float32(node.clamp.low), np.float32(node.clamp.high))
    return np.clip(np.rint(value * reciprocal(out.scale)), -128, 127).astype(np.int8)


@given(case=convolutions(), spread=st.sampled_from([1.0, 0.25]))
def test_a_kernel_that_contracts_differs_on_the_borderline_only(case, spread):
    node, inputs, size = case
    real = convolution(node, inputs, tensor(size)).numbers
    out = tensor(size, float(np.abs(real).max() + 0.1) / 127 * spread)
    found, expected = contracted_kernel(node, inputs, out), convolution(node, inputs, out).numbers
    near = borderline(node, inputs, out)
    assert near.shape == expected.shape
    assert mismatches(found[~near], expected[~near]) == (0, 0)
    assert mismatches(found, expected)[1] <= 1


def test_the_borderline_is_narrow():
    random = np.random.default_rng(5)
    weight = random.integers(-127, 128, (32, 16, 3, 3), np.int8)
    scales = random.uniform(0.001, 0.002, 32).astype(np.float32)
    node = Convolution(
        name="n", inputs=("i",), output="o", weight=weight, weight_scale=scales, bias=normal(random, 32)
    )
    image = integers(random, 2, 16, 30, 30)
    real = convolution(node, [image], tensor((32, 28, 28))).numbers
    out = tensor((32, 28, 28), float(np.abs(real).max() / 127))
    assert 0 < borderline(node, [image], out).mean() < 5e-4


@pytest.mark.parametrize("channels", [1024, 1025, 5000])  # below and above what float32 sums hold
def test_sums_stay_exact_where_they_are_largest(channels):
    random = np.random.default_rng(channels)
    image = np.full((2, channels, 2, 1), -128, np.int8)
    image[1] = random.integers(-128, 128, image[1].shape)
    weight = np.full((2, channels, 1, 1), -128, np.int8)
    weight[1] = random.integers(-128, 128, weight[1].shape)
    node = Convolution(
        name="n", inputs=("i",), output="o", weight=weight, weight_scale=np.ones(2, np.float32)
    )
    expected = np.einsum("nchw,oc->nohw", image.astype(np.int64), weight[:, :, 0, 0].astype(np.int64))
    np.testing.assert_array_equal(exact_sums(node, image), expected)


def test_sums_that_int32_does_not_hold_are_refused():
    weight = np.full((1, 140_000, 1, 1), 127, np.int8)
    node = Convolution(
        name="wide", inputs=("i",), output="o", weight=weight, weight_scale=np.ones(1, np.float32)
    )
    with pytest.raises(OverflowError, match="wide"):
        exact_sums(node, np.full((1, 140_000), 127, np.int8))


@given(convolutions(), st.integers(0, 2**32))
def test_linear_in_the_weights(case, seed):
    node, (image, *_), _ = case
    parts = np.random.default_rng(seed).integers(-60, 60, (2, *node.weight.shape), np.int8)
    first, second = (exact_sums(replace(node, weight=part), image.numbers) for part in parts)
    whole = exact_sums(replace(node, weight=parts[0] + parts[1]), image.numbers)
    np.testing.assert_array_equal(whole, first + second)


@given(convolutions())
def test_groups_are_convolutions_side_by_side(case):
    node, (image, *_), _ = case
    weights = np.split(node.weight, node.groups)
    images = np.split(image.numbers, node.groups, axis=1)
    apart = [
        exact_sums(replace(node, weight=weight, groups=1), part)
        for weight, part in zip(weights, images, strict=True)
    ]
    np.testing.assert_array_equal(np.concatenate(apart, axis=1), exact_sums(node, image.numbers))


@pytest.mark.parametrize("scale", [None, 0.07])
def test_a_matrix_product_of_features(scale):
    random = np.random.default_rng(3)
    weight, bias = normal(random, 6, 20), normal(random, 6)
    image = normal(random, 3, 20)
    node = Convolution(name="fc", inputs=("i",), output="o", weight=weight[:, :, None, None], bias=bias)
    found = convolution(node, [Value(image)], tensor((6,), scale))
    expected = written(one("Gemm", image, constants=[weight, bias], transB=1), tensor((6,), scale))
    assert found.numbers.shape == (3, 6)
    assert mismatches(found.numbers, expected, 1e-5 if scale is None else 0)[0] == 0


@given(convolutions())
def test_integers_beside_real_weights_are_real_numbers(case):
    node, inputs, size = case
    weight = node.weight * node.weight_scale.reshape(-1, 1, 1, 1)
    real = convolution(replace(node, weight=weight, weight_scale=None), inputs, tensor(size)).numbers
    again = convolution(node, (Value(inputs[0].real), *inputs[1:]), tensor(size)).numbers
    exact = convolution(node, inputs, tensor(size)).numbers
    np.testing.assert_array_equal(real, again)
    assert mismatches(real, exact, 1e-5 * (1 + np.abs(exact).max()))[0] == 0
