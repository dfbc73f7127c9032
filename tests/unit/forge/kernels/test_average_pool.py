import numpy as np
from forge_launching import (
    BATCH_SIZES,
    INTEGERS,
    check,
    laid,
    operation_of,
    run_operation,
    target,
    tries,
    views,
)
from forge_pools import NAMES, pools
from hypothesis import given, settings
from hypothesis import strategies as st

from tensordyno.forge.graph import AveragePool, MaxPool
from tensordyno.forge.kernels.average_pool import KERNELS
from tensordyno.forge.program import Format

(KERNEL,) = KERNELS
LARGEST = 12.0  # of the real numbers of these tests


def rounding(image, taps):
    """How far a float32 sum of that many real numbers may be off, over their count; of integers nothing."""
    return 0.0 if image.format in INTEGERS else (taps + 2) * 2.0**-24 * LARGEST


@settings(deadline=None, max_examples=tries(150))
@given(
    pool=pools(),
    data=st.data(),
    counts=st.booleans(),
    batch_size=BATCH_SIZES,
    seed=st.integers(0, 2**32),
)
def test_it_is_the_oracle(pool, data, counts, batch_size, seed):
    image = data.draw(views(*pool.size, pool.channels))
    output = data.draw(views(*pool.out, pool.channels, storage="output"))
    operation = operation_of(AveragePool(**pool.words, count_pads=counts), [image], output)
    check(KERNEL, operation, batch_size, seed, absolute=rounding(image, 16))


@settings(deadline=None, max_examples=tries(30))
@given(pool=pools(), seed=st.integers(0, 2**32), scale=st.floats(0.01, 0.1))
def test_between_equal_scales_the_factors_are_those_of_counts(pool, seed, scale):
    image, output = (
        laid(Format.INT8, *size, pool.channels, storage=name, scale=scale)
        for size, name in ((pool.size, "image"), (pool.out, "output"))
    )
    operation = operation_of(AveragePool(**pool.words), [image], output)
    check(KERNEL, operation, 2, seed)
    factors = KERNEL.weights(operation)["factors"]
    np.testing.assert_array_equal(factors[1:], (1 / np.arange(1, len(factors))).astype(np.float32))


def test_halves_go_to_even():
    node = AveragePool(**NAMES, kernel=(2, 2), stride=(2, 2))
    image, output = laid(Format.INT8, 2, 2, 8), laid(Format.INT8, 1, 1, 8, storage="output")
    operation = operation_of(node, [image], output)
    sums = np.array([-6, -2, 0, 2, 6, 10, 508 - 2, -512 + 2])  # of four: halves but for the third
    numbers = (np.stack([sums // 4, sums // 4, -(-sums // 4), -(-sums // 4)])).astype(np.int8)
    choice = KERNEL.choices(operation, 1, target())[0]
    found = run_operation(KERNEL, operation, choice, 1, [numbers.reshape(1, 2, 2, 8)])
    assert found.reshape(-1).tolist() == [-2, 0, 0, 0, 2, 2, 126, -128]


def test_a_window_of_many_pixels():
    node = AveragePool(**NAMES, kernel=(9, 7), stride=(2, 1), pads=(4, 3, 4, 3))
    image = laid(Format.INT8, 9, 8, 16)
    check(KERNEL, operation_of(node, [image], laid(Format.INT8, 5, 8, 16, storage="o")), 1, 0)


def test_what_it_does_not_take():
    image, output = laid(Format.INT8, 4, 4, 16), laid(Format.INT8, 3, 3, 16)
    words = {**NAMES, "kernel": (2, 2), "stride": (2, 2), "pads": (2, 0, 0, 2)}
    assert not KERNEL.takes(operation_of(AveragePool(**words), [image], output), target())
    assert not KERNEL.takes(operation_of(MaxPool(**words), [image], output), target())
