"""Compile-time descriptions for the Gluon kernels: the convolution, the tile, and which thread holds what.

The matrix unit of Hopper leaves a thread with columns 8j + 2q + e of its rows, where q is the thread's place
in a quad and e is 0 or 1: pairs of outputs, too short for a wide store. But which output channel a column
stands for is free. Rows of weights are fetched in an order that makes a thread's columns runs of 16
consecutive channels, one quad covering 64, so that outputs and residuals move by 16-byte accesses without
passing through shared memory.
"""

from dataclasses import dataclass

from triton.experimental.gluon import language as gl

LANES = 32
WARP_ROWS = 16  # of the matrix unit's result, a warp
GROUP_ROWS = 64  # of four warps, which multiply together
LONGEST_RUN = 16  # channels, of one byte each, of one access
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
    """

    block_m: int
    block_n: int
    block_k: int
    warps: int
    stages: int
    columns: int = 1

    @property
    def run(self) -> int:
        """Consecutive channels that a thread holds."""
        return min(LONGEST_RUN, self.block_n // 4)

    @property
    def operand(self) -> gl.NVMMASharedLayout:
        """How slices of pixels and of weights lie in shared memory: rows of `block_k` bytes, swizzled."""
        return gl.NVMMASharedLayout(swizzle_byte_width=min(self.block_k, 128), element_bitwidth=8, rank=2)

    @property
    def copy(self) -> gl.BlockedLayout:
        """Which thread fetches what: 16 bytes each, neighbours side by side."""
        across = self.block_k // 16
        return gl.BlockedLayout([1, 16], [LANES // across, across], [self.warps, 1], [1, 0])

    @property
    def sums(self) -> gl.NVMMADistributedLayout:
        """Where the matrix unit leaves its result."""
        return gl.NVMMADistributedLayout([3, 0], [self.warps, 1], [16, min(self.block_n, 128), 32])

    @property
    def output(self) -> gl.DistributedLinearLayout:
        """The same registers as `sums`, as channels: runs of `run` in a thread, four runs in a quad."""
        return self._runs(1)

    @property
    def words(self) -> gl.DistributedLinearLayout:
        """`output` with four channels an element, `block_n` / 4 columns."""
        return self._runs(4)

    @property
    def pooled(self) -> gl.DistributedLinearLayout:
        """What is left of `output` of a stem where rows l and l + 8 of a warp have become one."""
        halves = [[GROUP_ROWS // 2, 0]]
        spread = [[8, 0], [16, 0]]
        return gl.DistributedLinearLayout(
            reg_bases=[[0, 1], [0, 2], [0, 4], [0, 8], *([] if self.warps > 4 else halves)],
            lane_bases=[[0, 16], [0, 32], [1, 0], [2, 0], [4, 0]],
            warp_bases=[*spread, *(halves if self.warps > 4 else [])],
            block_bases=[],
            shape=[GROUP_ROWS, 64],
        )

    def _runs(self, channels: int) -> gl.DistributedLinearLayout:
        """Columns of so many channels each; rows as the matrix unit leaves them."""
        run, rows = self.run // channels, WARP_ROWS * self.warps
        columns = [[0, 2**i] for i in range(_log2(run))]
        columns += [[0, 4 * run * 2**i] for i in range(_log2(self.block_n // (4 * self.run)))]
        further = [[rows * 2**i, 0] for i in range(_log2(self.block_m // rows))]
        groups = [[GROUP_ROWS * 2**i, 0] for i in range(_log2(rows // GROUP_ROWS))]
        return gl.DistributedLinearLayout(
            reg_bases=[*columns, [8, 0], *further],
            lane_bases=[[0, run], [0, 2 * run], [1, 0], [2, 0], [4, 0]],
            warp_bases=[[16, 0], [32, 0], *groups],
            block_bases=[],
            shape=[self.block_m, self.block_n // channels],
        )


def _log2(power: int) -> int:
    """Of a power of two."""
    return power.bit_length() - 1
