"""Which tiles suit a matrix product: a rough prediction of its time ranks them, timing on a device decides.

The numbers are of Hopper, a multiprocessor and clock. They need to be no better than their order.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from triton import next_power_of_2

from tensordyno.forge.kernels.convolution_shape import Shape
from tensordyno.vocabulary import Precision

_MOST = 12  # choices of one operation
_TILES = (  # rows, columns, warps
    *((256, 128, 8), (256, 64, 8), (128, 256, 8), (128, 128, 8), (128, 128, 4), (128, 64, 4), (128, 32, 4)),
    *((64, 128, 4), (64, 64, 4), (64, 32, 4), (64, 16, 4), (32, 64, 4), (32, 32, 4)),
    *((16, 128, 4), (16, 64, 4), (16, 32, 4), (16, 16, 4)),
)
_STRICT_TILES = (
    *((128, 128, 8), (128, 64, 8), (64, 64, 4), (64, 32, 4), (64, 16, 4)),
    *((32, 32, 4), (16, 64, 4), (16, 16, 4)),
)
_SLICE_BYTES = (128, 64)
_MOST_SUMS = 64  # that a thread can hold beside a residual of as many registers, of four-byte formats
_SHARED_BYTES = {(8, 0): 163 * 1024, (8, 7): 163 * 1024, (9, 0): 227 * 1024, (10, 0): 227 * 1024}
_LEAST_SHARED_BYTES = 99 * 1024  # of all that have matrix units for int8
_SMALL = 64 * 64  # tiles up to this may have many stages: where they are used latency binds
_STAGES = (4, 7)
_MULTIPROCESSORS = 132
_PRODUCTS = {Precision.INT8: 4096, Precision.FP16: 2048, Precision.BF16: 2048, Precision.TF32: 1024}
_STRICT_PRODUCTS = 128
_WARP_GROUP_ROWS = 64  # fewer rows take the older, slower instruction
_WIDTH_BYTES = {Precision.INT8: 1, Precision.FP16: 2, Precision.BF16: 2}
_LOAD_BYTES = 40
_OUTPUTS = 16  # converted and stored
_START_CLOCKS = 1500  # of a program, before its first product and behind its last
_LOAD_CLOCKS = 700  # from asking for a slice until it is there
_GATHER_COST = 1.3  # addresses of the flat kind, against those of whole taps


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One variant of implicit_product.py."""

    rows: int
    columns: int
    depth: int  # of a slice
    is_flat: bool
    warps: int
    stages: int

    @property
    def choice(self) -> tuple[int, ...]:
        """As kernels name it."""
        return self.rows, self.columns, self.depth, int(self.is_flat), self.warps, self.stages

    def shared_bytes(self, width_bytes: int) -> int:
        """Of all slices of both operands."""
        return self.stages * (self.rows + self.columns) * self.depth * width_bytes


def product_choices(
    shape: Shape, rows: int, precision: Precision, capability: tuple[int, int]
) -> tuple[tuple[int, ...], ...]:
    """Tiles for `rows` output pixels, (rows, columns, depth, flat, warps, stages), predicted best first."""
    shared = _SHARED_BYTES.get(capability, _LEAST_SHARED_BYTES)
    fitting = {
        tile: _clocks(tile, shape, rows, precision)
        for tile in _tiles(shape, rows, precision)
        if tile.shared_bytes(_width(precision)) <= shared
    }
    return tuple(tile.choice for tile in sorted(fitting, key=lambda tile: fitting[tile])[:_MOST])


def interpreted_choices(shape: Shape) -> tuple[tuple[int, ...], ...]:
    """Small tiles for Triton's interpreter, whose time goes by operations, not by elements."""
    return tuple((64, 32, 32, int(is_flat), 4, 2) for is_flat in _kinds(shape, 32))


def _tiles(shape: Shape, rows: int, precision: Precision) -> Iterator[Tile]:
    """All that suit the size of the product and the registers."""
    width = _width(precision)
    widest, longest = max(next_power_of_2(shape.out_channels), 16), max(next_power_of_2(rows), 16)
    for block_rows, columns, warps in _STRICT_TILES if precision is Precision.FP32 else _TILES:
        area = block_rows * columns
        is_heavy = width == 4 and area > _MOST_SUMS * 32 * warps
        if columns > widest or block_rows > longest or is_heavy:
            continue
        sizes = {"rows": block_rows, "columns": columns, "warps": warps}
        for depth, is_flat in _slices(shape, width):
            steps = _steps(shape, depth, is_flat)
            for stages in {min(stages, max(2, steps)) for stages in _STAGES if stages == 4 or area <= _SMALL}:
                yield Tile(**sizes, depth=depth, is_flat=is_flat, stages=stages)


def _slices(shape: Shape, width_bytes: int) -> Iterator[tuple[int, bool]]:
    """Depths and kinds of slices; half as deep ones where the channels are no multiple of the others."""
    narrow = shape.tap_pitch * width_bytes % _SLICE_BYTES[-1] != 0
    shortest = 32 if width_bytes == 1 else 16  # what the matrix unit takes
    sizes = (*_SLICE_BYTES, 32) if narrow else _SLICE_BYTES
    for depth in sorted({max(size // width_bytes, shortest) for size in sizes}):
        for is_flat in _kinds(shape, depth):
            length = shape.tap_pitch * (shape.taps if is_flat else 1)
            if depth < 2 * length or depth == shortest:
                yield depth, is_flat


def _kinds(shape: Shape, depth: int) -> tuple[bool, ...]:
    """Whether slices go by taps (False) or through all of them (True), where that leaves fewer of them."""
    if shape.taps == 1:
        return (False,)
    if shape.channels < depth // 2:
        return (True,)
    return (False, True) if _steps(shape, depth, True) < _steps(shape, depth, False) else (False,)


def _parts(total: int, size: int) -> int:
    """How many of that size hold the total."""
    return -(-total // size)


def _steps(shape: Shape, depth: int, is_flat: bool) -> int:
    """Slices of the sum."""
    if is_flat:
        return _parts(shape.taps * shape.tap_pitch, depth)
    return shape.taps * _parts(shape.tap_pitch, depth)


def _clocks(tile: Tile, shape: Shape, rows: int, precision: Precision) -> float:
    """All tiles on all multiprocessors: bound by work, or by latency where there are few of them."""
    width = _width(precision)
    steps = _steps(shape, tile.depth, tile.is_flat)
    area = tile.rows * tile.columns
    rate: float = _PRODUCTS.get(precision, _STRICT_PRODUCTS)
    if tile.rows < _WARP_GROUP_ROWS and precision is not Precision.FP32:
        rate /= 2
    loads = (tile.rows + tile.columns) * tile.depth * width / _LOAD_BYTES
    loads *= _GATHER_COST if tile.is_flat else 1
    work = steps * max(loads, area * tile.depth / rate) + area / _OUTPUTS
    alone = _START_CLOCKS + steps * _LOAD_CLOCKS / (tile.stages - 1) + work
    count = _parts(rows, tile.rows) * _parts(shape.out_channels, tile.columns) * shape.groups
    waves = _parts(count, _MULTIPROCESSORS * _resident(tile, width))
    return max(count * work / _MULTIPROCESSORS, waves * alone)


def _resident(tile: Tile, width_bytes: int) -> int:
    """Tiles that one multiprocessor holds, by shared memory and registers."""
    threads = 32 * tile.warps
    registers = tile.rows * tile.columns / threads + 56
    by_memory = _SHARED_BYTES[9, 0] // tile.shared_bytes(width_bytes)
    return max(1, min(by_memory, int(65536 / (registers * threads)), 16))


def _width(precision: Precision) -> int:
    """Bytes of an operand."""
    return _WIDTH_BYTES.get(precision, 4)
