import numpy as np
import pytest
from forge_launching import (
    BATCH_SIZES,
    ON_GPU,
    assert_as_oracle,
    check,
    laid,
    numbers_for,
    operation_of,
    run_operation,
    target,
    tries,
    views,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from tensordyno.forge.graph import Activation, Add, Affine, Clamp, Concat, Dequantize, Pad, Quantize
from tensordyno.forge.kernels.elementwise import KERNELS
from tensordyno.forge.program import Format

(KERNEL,) = KERNELS
SIZES = st.tuples(st.integers(1, 4), st.integers(1, 5), st.sampled_from([1, 3, 16, 20, 33]))
NAMES = {"name": "node", "inputs": ("i",), "output": "o"}
FUSED = 1e-5 if ON_GPU else 0.0  # the interpreter rounds product and sum, devices the sum only


def affine(channels):
    random = np.random.default_rng(channels)
    factor, offset = random.standard_normal((2, channels)).astype(np.float32)
    return Affine(**NAMES, factor=factor, offset=offset)


NODES = {
    "sum": lambda channels: Add(**NAMES),
    "sum and clamp": lambda channels: Add(**NAMES, clamp=Clamp(0, 1.5)),
    "clamp": lambda channels: Activation(**NAMES, clamp=Clamp(-0.5, float("inf"))),
    "affine": affine,
    "copy": lambda channels: Concat(**NAMES),
    "quantize": lambda channels: Quantize(**NAMES),
    "dequantize": lambda channels: Dequantize(**NAMES),
}


@st.composite
def operations(draw, kind):
    """An operation on views of any formats."""
    size = draw(SIZES)
    names = ["left", "right"] if kind.startswith("sum") else ["left"]
    inputs = [draw(views(*size, storage=name)) for name in names]
    return operation_of(NODES[kind](size[2]), inputs, draw(views(*size, storage="output")))


@pytest.mark.parametrize("kind", NODES)
@settings(deadline=None, max_examples=tries(40))
@given(data=st.data(), batch_size=BATCH_SIZES, seed=st.integers(0, 2**32))
def test_it_is_the_oracle(kind, data, batch_size, seed):
    operation = data.draw(operations(kind))
    fuses = isinstance(operation.node, Add | Affine)
    check(KERNEL, operation, batch_size, seed, absolute=FUSED * fuses)


@pytest.mark.parametrize("format", Format)
def test_a_copy_between_equal_scales_keeps_every_bit(format):
    image = laid(format, 3, 5, 24, storage="image")
    place = laid(format, 3, 5, 24, storage="output", first=32, more=16)
    operation = operation_of(NODES["copy"](24), [image], place)
    numbers = numbers_for(image, 3, np.random.default_rng(0))
    for choice in KERNEL.choices(operation, 3, target()):
        np.testing.assert_array_equal(run_operation(KERNEL, operation, choice, 3, [numbers]), numbers)


def test_a_sum_may_be_written_over_one_of_its_terms():
    image, other = (laid(Format.INT8, 4, 3, 20, storage=name) for name in ("image", "other"))
    operation = operation_of(NODES["sum"](20), [image, other], image)
    random = np.random.default_rng(1)
    numbers = [numbers_for(view, 5, random) for view in (image, other)]
    choice = KERNEL.choices(operation, 5, target())[0]
    found = run_operation(KERNEL, operation, choice, 5, numbers)
    assert_as_oracle(operation, numbers, found, absolute=FUSED)


def test_integers_saturate():
    operation = operation_of(
        NODES["quantize"](3), [laid(Format.FP32, 1, 1, 3)], laid(Format.INT8, 1, 1, 3, storage="o", scale=1)
    )
    real = np.array([[[[1e30, -1e30, 2.5]]]], np.float32)
    found = run_operation(KERNEL, operation, KERNEL.choices(operation, 1, target())[0], 1, [real])
    assert found.tolist() == [[[[127, -128, 2]]]]


@pytest.mark.parametrize(
    "node, inputs",
    [
        (Concat(**NAMES), 2),  # lowering takes it apart
        (Add(**NAMES), 1),
        (Pad(**NAMES, pads=(0, 0, 0, 0)), 1),
    ],
)
def test_what_it_does_not_take(node, inputs):
    image = laid(Format.FP16, 2, 2, 16)
    assert not KERNEL.takes(operation_of(node, [image] * inputs, image), target())


def test_images_of_another_shape_are_not_taken():
    inputs = [laid(Format.FP16, 2, 3, 16), laid(Format.FP16, 3, 2, 16)]
    assert not KERNEL.takes(operation_of(Add(**NAMES), inputs, inputs[0]), target())
