import numpy as np
import pytest
from forge_launching import (
    BATCH_SIZES,
    check,
    laid,
    numbers_for,
    operation_of,
    run_operation,
    target,
    tries,
    views,
)
from forge_pools import NAMES, pools
from hypothesis import given, settings
from hypothesis import strategies as st

from tensordyno.forge.graph import GlobalAveragePool, MaxPool
from tensordyno.forge.kernels.max_pool import KERNELS
from tensordyno.forge.program import Format

(KERNEL,) = KERNELS


@settings(deadline=None, max_examples=tries(120))
@given(pool=pools(), data=st.data(), batch_size=BATCH_SIZES, seed=st.integers(0, 2**32))
def test_it_is_the_oracle(pool, data, batch_size, seed):
    image = data.draw(views(*pool.size, pool.channels))
    output = data.draw(views(*pool.out, pool.channels, storage="output"))
    check(KERNEL, operation_of(MaxPool(**pool.words), [image], output), batch_size, seed)


@pytest.mark.parametrize("format", Format)
@settings(deadline=None, max_examples=tries(15))
@given(pool=pools(), seed=st.integers(0, 2**32))
def test_between_equal_scales_it_is_a_number_of_the_window(format, pool, seed):
    image = laid(format, *pool.size, pool.channels, scale=0.0371)
    output = laid(format, *pool.out, pool.channels, storage="output", scale=0.0371)
    operation = operation_of(MaxPool(**pool.words), [image], output)
    check(KERNEL, operation, 3, seed)
    numbers = numbers_for(image, 3, np.random.default_rng(seed))
    found = run_operation(KERNEL, operation, KERNEL.choices(operation, 3, target())[0], 3, [numbers])
    assert np.isin(found, numbers).all()


@pytest.mark.parametrize("format", Format)
def test_the_stem_of_resnet(format):
    node = MaxPool(**NAMES, kernel=(3, 3), stride=(2, 2), pads=(1, 1, 1, 1))
    image, output = laid(format, 14, 10, 64), laid(format, 7, 5, 64, storage="output")
    for seed in range(len(KERNEL.choices(operation_of(node, [image], output), 2, target()))):
        check(KERNEL, operation_of(node, [image], output), 2, seed)


def test_a_window_of_many_pixels():
    node = MaxPool(**NAMES, kernel=(9, 7), stride=(2, 1), pads=(4, 3, 4, 3))
    check(
        KERNEL,
        operation_of(node, [laid(Format.INT8, 9, 8, 16)], laid(Format.INT8, 5, 8, 16, storage="o")),
        1,
        0,
    )


def test_what_it_does_not_take():
    image, output = laid(Format.INT8, 4, 4, 16), laid(Format.INT8, 3, 3, 16)
    blind = MaxPool(**NAMES, kernel=(2, 2), stride=(2, 2), pads=(2, 0, 0, 2))
    assert not KERNEL.takes(operation_of(blind, [image], output), target())
    assert not KERNEL.takes(operation_of(GlobalAveragePool(**NAMES), [image], output), target())
