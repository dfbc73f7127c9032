import numpy as np
import pytest

from tensordyno.forge.kernels.gluon_layout import StemShape, Tile

TILES = [(64, 32, 4), (64, 64, 4), (128, 64, 4), (128, 64, 8), (64, 128, 4), (128, 128, 8), (256, 64, 8)]


def tile(m, n, warps, width=1):
    return Tile(block_m=m, block_n=n, block_k=64, warps=warps, stages=2, width=width)


def placed(layout, register, lane, warp):
    """The element of a register: layouts are linear over exclusive or."""
    at = [0, 0]
    for number, bases in (
        (register, layout.reg_bases),
        (lane, layout.lane_bases),
        (warp, layout.warp_bases),
    ):
        for bit, base in enumerate(bases):
            if number >> bit & 1:
                at = [a ^ b for a, b in zip(at, base, strict=True)]
    return tuple(at)


def unit_places(m, n, warps):
    """What each thread holds behind wgmma (PTX ISA, fragment D of m64nNk32), by (warp, lane)."""
    held = {}
    for warp in range(warps):
        for lane in range(32):
            rows = [
                first + 16 * (warp % 4) + lane // 4 + half
                for first in range(warp // 4 * 64, m, 64 * (warps // 4))
                for half in (0, 8)
            ]
            columns = [8 * j + 2 * (lane % 4) + e for j in range(n // 8) for e in (0, 1)]
            held[warp, lane] = {(row, column) for row in rows for column in columns}
    return held


def channel_of(column, run):
    """weight_rows of gluon_convolution.py."""
    place = column // 8 * 2 + column % 2
    return place // run * (4 * run) + column % 8 // 2 * run + place % run


@pytest.mark.parametrize("width", [1, 2])
@pytest.mark.parametrize(("m", "n", "warps"), TILES)
def test_a_thread_stores_the_channels_that_its_columns_stand_for(m, n, warps, width):
    made = tile(m, n, warps, width)
    assert sorted(channel_of(column, made.run) for column in range(n)) == list(range(n))
    registers = m * n // (32 * warps)
    for (warp, lane), held in unit_places(m, n, warps).items():
        stored = {placed(made.output, register, lane, warp) for register in range(registers)}
        assert stored == {(row, channel_of(column, made.run)) for row, column in held}


@pytest.mark.parametrize("width", [1, 2])
@pytest.mark.parametrize(("m", "n", "warps"), TILES)
def test_consecutive_registers_are_consecutive_channels_and_a_quad_covers_four_runs(m, n, warps, width):
    made = tile(m, n, warps, width)
    assert made.run == min(16 // width, n // 4)
    run = [placed(made.output, register, 0, 0) for register in range(made.run)]
    assert run == [(0, channel) for channel in range(made.run)]
    assert [placed(made.output, 0, lane, 0)[1] for lane in range(4)] == [made.run * q for q in range(4)]


@pytest.mark.parametrize("width", [1, 2])
@pytest.mark.parametrize(("m", "n", "warps"), TILES)
def test_a_word_lies_where_its_channels_do(m, n, warps, width):
    made = tile(m, n, warps, width)
    each = 4 // width
    for register in range(m * n // (32 * warps)):
        row, channel = placed(made.output, register, 13, warps - 1)
        assert placed(made.words, register // each, 13, warps - 1) == (row, channel // each)


@pytest.mark.parametrize(("width", "slice_bytes"), [(1, 64), (2, 128)])
def test_a_warp_fetches_whole_rows_of_a_slice_16_bytes_a_thread(width, slice_bytes):
    made = tile(128, 64, 4, width)
    across = slice_bytes // 16
    assert made.copy.size_per_thread == [1, 16 // width]
    assert made.copy.threads_per_warp == [32 // across, across]
    assert made.operand.swizzle_byte_width == slice_bytes
    assert made.sums.instr_shape == [16, 64, 32 // width]


@pytest.mark.parametrize("width", [1, 2])
@pytest.mark.parametrize("warps", [4, 8])
def test_a_stem_keeps_one_row_of_two(warps, width):
    made = tile(128, 64, warps, width)
    stored = {}
    for (warp, lane), held in unit_places(128, 64, warps).items():
        mine = {placed(made.pooled, register, lane, warp) for register in range(128 // warps)}
        # row 16 s + 8 h + l of the product, of stretch s, becomes row 8 s + l
        assert mine == {(row // 16 * 8 + row % 8, channel_of(column, made.run)) for row, column in held}
        stored |= dict.fromkeys(mine)
        row, channel = placed(made.pooled, 0, lane, warp)
        run = [placed(made.pooled, register, lane, warp) for register in range(made.run)]
        assert run == [(row, channel + each) for each in range(made.run)]
    assert len(stored) == 64 * 64


@pytest.mark.parametrize(("width", "number"), [(1, np.int32), (2, np.float32)])
def test_nothing_lies_below_the_least_sum(width, number):
    made = tile(128, 64, 4, width)
    assert made.sum_type.name == {np.int32: "int32", np.float32: "fp32"}[number]
    assert made.least_sum == (np.iinfo(number).min if number is np.int32 else -np.inf)


@pytest.mark.parametrize(("width", "columns"), [(1, 1), (56, 1), (57, 2), (112, 2)])
def test_a_stem_counts_its_columns(width, columns):
    made = StemShape(height=4, width=2 * width, out_height=2, out_width=width, out_pitch=64, clamps=0)
    assert (made.windows, made.columns) == (56, columns)
