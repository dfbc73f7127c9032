"""Compile-time descriptions for the Gluon kernels: the convolution, the tile, and which thread holds what.

The matrix unit of Hopper leaves a thread with columns 8j + 2q + e of its rows, where q is the thread's place
in a quad and e is 0 or 1: pairs of outputs, too short for a wide store. But which output channel a column
stands for is free. Rows of weights are fetched in an order that makes a thread's columns runs of 16 bytes of
consecutive channels, one quad covering 64 bytes, so that outputs and residuals move by 16-byte accesses
without passing through shared memory.
"""

from dataclasses import dataclass
from math import inf

from triton.experimental.gluon import language as gl

LANES = 32
WARP_ROWS = 16  # of the matrix unit's result, a warp
GROUP_ROWS = 64  # of four warps, which multiply together
ACCESS = 16  # bytes, the most of one load or store
STRETCHES = 8  # of a stem's pixels, each 16 rows of the product and 7 windows of the max-pool


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The convolution that a kernel is compiled for: pixels, channels, and elements from pixel to pixel."""

    height: int
    width: int
    channels: int
    pitch: int
    out_height: int
    out_width: int
    out_channels: int
    out_pitch: int
    kernel_h: int = 1
    kernel_w: int = 1
    stride_h: int = 1
    stride_w: int = 1
    pad_top: int = 0
    pad_left: int = 0
    is_padded: bool = False  # whether a window may reach outside the image
    residual_pitch: int = 0  # 0: no residual
    clamps: int = 0  # 0: nothing, 1: ReLU, 2: low and high


@dataclass(frozen=True, slots=True, kw_only=True)
class StemShape:
    """The stem that a kernel is compiled for: blocks of 2 x 2 pixels, pixels of the result, its pitch."""

    height: int
    width: int
    out_height: int
    out_width: int
    out_pitch: int
    clamps: int

    @property
    def windows(self) -> int:
        """Of a program, side by side."""
        return 7 * STRETCHES

    @property
    def columns(self) -> int:
        """Of so many windows, over the width of the result."""
        return -(-self.out_width // self.windows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """What one program computes at a time, `block_m` pixels by `block_n` channels, and with how many warps.

    `block_k` channels are multiplied at once, `stages` such slices are in shared memory (of a kernel that
    keeps its weights: `stages` whole rows of slices, and weights of `columns` times `block_n` channels).
    Elements have `width` bytes: 1 of int8, 2 of fp16 and bf16. If `cached`, pixels pass through the
    first-level cache, where windows that overlap find them again (gluon_windows.py).
    """

    block_m: int
    block_n: int
    block_k: int
    warps: int
    stages: int
    columns: int = 1
    width: int = 1
    cached: bool = False

    @property
    def run(self) -> int:
        """Consecutive channels that a thread holds."""
        return min(ACCESS // self.width, self.block_n // 4)

    @property
    def sum_type(self) -> gl.dtype:
        """What products are added up in."""
        return gl.int32 if self.width == 1 else gl.float32

    @property
    def least_sum(self) -> float:
        """Of `sum_type` what no sum lies below."""
        return -(2**31) if self.width == 1 else -inf

    @property
    def operand(self) -> gl.NVMMASharedLayout:
        """How slices of pixels and of weights lie in shared memory: rows of `block_k` elements, swizzled."""
        swizzle_bytes = min(self.block_k * self.width, 128)
        return gl.NVMMASharedLayout(swizzle_bytes, element_bitwidth=8 * self.width, rank=2)

    @property
    def copy(self) -> gl.BlockedLayout:
        """Which thread fetches what: 16 bytes each, neighbours side by side."""
        return self._copy(ACCESS)

    @property
    def window_copy(self) -> gl.BlockedLayout:
        """`copy` of pixels; those that are `cached` come 8 bytes each, since 16 bypass the first cache."""
        return self._copy(ACCESS // 2 if self.cached else ACCESS)

    @property
    def sums(self) -> gl.NVMMADistributedLayout:
        """Where the matrix unit leaves its result."""
        widest = 128 if self.width == 1 else 256  # that Triton 3.6 has instructions for
        shape = [16, min(self.block_n, widest), 32 // self.width]
        return gl.NVMMADistributedLayout([3, 0], [self.warps, 1], shape)

    @property
    def output(self) -> gl.DistributedLinearLayout:
        """The same registers as `sums`, as channels: runs of `run` in a thread, four runs in a quad."""
        return self._runs(1)

    @property
    def words(self) -> gl.DistributedLinearLayout:
        """`output` in words of four bytes, `channels_of_word` of a column."""
        return self._runs(self.channels_of_word)

    @property
    def channels_of_word(self) -> int:
        """Elements in four bytes."""
        return 4 // self.width

    @property
    def pooled(self) -> gl.DistributedLinearLayout:
        """What is left of `output` of a stem where rows l and l + 8 of a warp have become one."""
        halves = [[GROUP_ROWS // 2, 0]]
        spread = [[8, 0], [16, 0]]
        return gl.DistributedLinearLayout(
            reg_bases=[*self._columns(self.run, 64), *([] if self.warps > 4 else halves)],
            lane_bases=[[0, self.run], [0, 2 * self.run], [1, 0], [2, 0], [4, 0]],
            warp_bases=[*spread, *(halves if self.warps > 4 else [])],
            block_bases=[],
            shape=[GROUP_ROWS, 64],
        )

    def _copy(self, size_bytes: int) -> gl.BlockedLayout:
        """So many bytes of a slice a thread."""
        each = size_bytes // self.width
        across = min(self.block_k // each, LANES)
        return gl.BlockedLayout([1, each], [LANES // across, across], [self.warps, 1], [1, 0])

    def _columns(self, run: int, columns: int) -> list[list[int]]:
        """Those of a thread, of so many in all: runs of `run`, each the same part of four runs of a quad."""
        first = [[0, 2**i] for i in range(_log2(run))]
        return first + [[0, 4 * run * 2**i] for i in range(_log2(columns // (4 * run)))]

    def _runs(self, channels: int) -> gl.DistributedLinearLayout:
        """Columns of so many channels each; rows as the matrix unit leaves them."""
        run, rows = self.run // channels, WARP_ROWS * self.warps
        further = [[rows * 2**i, 0] for i in range(_log2(self.block_m // rows))]
        groups = [[GROUP_ROWS * 2**i, 0] for i in range(_log2(rows // GROUP_ROWS))]
        return gl.DistributedLinearLayout(
            reg_bases=[*self._columns(run, self.block_n // channels), [8, 0], *further],
            lane_bases=[[0, run], [0, 2 * run], [1, 0], [2, 0], [4, 0]],
            warp_bases=[[16, 0], [32, 0], *groups],
            block_bases=[],
            shape=[self.block_m, self.block_n // channels],
        )


def _log2(power: int) -> int:
    """Of a power of two."""
    return power.bit_length() - 1
