import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensordyno.quantize.sampling import (
    WHOLE,
    flat_stride,
    grid_strides,
    is_planes,
    kept_of_grid,
)

planes = st.tuples(st.integers(1, 600), st.integers(5, 120), st.integers(5, 120)).filter(
    lambda shape: math.prod(shape) > WHOLE
)
flat = st.lists(st.integers(1, 400), min_size=1, max_size=4).filter(lambda s: WHOLE < math.prod(s) < 10**8)
NETWORKS = [(64, 112, 112), (256, 56, 56), (128, 28, 28), (512, 14, 14), (2048, 7, 7), (192, 35, 35)]


def grid(shape):
    """The positions of the sample along (channel, row, column)."""
    down, right = grid_strides(shape)
    rows, columns = np.arange(0, shape[1], down), np.arange(0, shape[2], right)
    channel, row, column = np.unravel_index(kept_of_grid(shape), (shape[0], len(rows), len(columns)))
    return channel, rows[row], columns[column]


@given(planes)
def test_a_grid_has_three_positions_each_way_and_every_channel_gives_some(shape):
    channel, row, column = grid(shape)
    assert is_planes(shape)
    assert set(channel) == set(range(shape[0]))
    for positions, length in ((row, shape[1]), (column, shape[2])):
        assert np.all((positions >= 0) & (positions < length))
        stride = grid_strides(shape)[0 if positions is row else 1]
        assert len(range(0, length, stride)) >= 3


@given(planes)
def test_a_sample_is_some_thousand_values_where_the_channels_allow_it(shape):
    size = len(kept_of_grid(shape))
    assert 1000 <= size <= max(3 * WHOLE, 9 * shape[0])


@pytest.mark.parametrize("shape", NETWORKS)
def test_the_border_counts_for_no_more_than_it_is(shape):
    _, row, column = grid(shape)
    for positions, length in ((row, shape[1]), (column, shape[2])):
        border = np.isin(positions, (0, length - 1)).mean()
        assert border == pytest.approx(2 / length, rel=0.1)


def test_a_raw_grid_would_count_the_border_too_often():
    positions = np.arange(0, 56, grid_strides((256, 56, 56))[0])
    assert np.isin(positions, (0, 55)).mean() > 3 * 2 / 56


@given(flat)
def test_a_flat_sample_favours_no_column(shape):
    stride = flat_stride(tuple(shape))
    size = len(range(0, math.prod(shape), stride))
    assert all(math.gcd(stride, axis) == 1 for axis in shape)
    assert 1000 <= size <= WHOLE + 1


@pytest.mark.parametrize("shape", [(4096,), (8, 32, 32), (100_000,), (197, 768), (512, 4, 64)])
def test_small_tensors_and_those_without_planes_are_not_sampled_on_a_grid(shape):
    assert not is_planes(shape)


@pytest.mark.parametrize("shape", [s for s in NETWORKS if math.prod(s) < 10**6])
def test_quantiles_of_the_sample_are_those_of_the_tensor(shape):
    """Smooth in space, channels of different strength, and thrice as large at the border."""
    rng = np.random.default_rng(1)
    phases = rng.uniform(0, 7, (2, 20, 1, 1, 1))
    rows, columns = np.arange(shape[1])[:, None], np.arange(shape[2])
    tensors = np.sin(rows / 3 + phases[0]) + np.cos(columns / 4 + phases[1])
    strengths = rng.gamma(2.0, 1.0, (shape[0], 1, 1)).astype(np.float32)
    tensors = tensors + rng.standard_normal((20, *shape), np.float32) * strengths
    tensors[:, :, [0, -1], :] *= 3
    tensors[:, :, 1:-1, [0, -1]] *= 3
    down, right = grid_strides(shape)
    grid = tensors[:, :, ::down, ::right].reshape(20, -1)
    for level in (0.9, 0.99, 0.999):
        exact = np.quantile(tensors, level)
        assert np.quantile(grid[:, kept_of_grid(shape)], level) == pytest.approx(exact, rel=0.1)
