"""Convolutions of fp16 and bf16 on Hopper: which ones, in which tiles (gluon_windows.py)."""

from collections.abc import Iterator, Mapping
from math import gcd
from typing import Any, ClassVar

from tensordyno.forge.graph import Array, Convolution
from tensordyno.forge.kernels.base import Choice, Kernel, Launch, Target, Tensors
from tensordyno.forge.kernels.convolution import clamp_kind, typed
from tensordyno.forge.kernels.convolution_shape import shape_of as product_shape_of
from tensordyno.forge.kernels.convolution_weights import epilogue_of, product_arrays
from tensordyno.forge.kernels.gluon_layout import ACCESS, Shape
from tensordyno.forge.kernels.gluon_windows import LONGEST_WINDOW
from tensordyno.forge.kernels.hopper_convolution import convolution_launch, is_pointwise, shape_of
from tensordyno.forge.kernels.hopper_programs import SHARED_BYTES, has_room, is_small, registers_of
from tensordyno.forge.program import Format, Operation, View
from tensordyno.vocabulary import Precision

WIDTH_BYTES = 2
FORMATS = {Precision.FP16: Format.FP16, Precision.BF16: Format.BF16}
_DEEPEST_SLICE = 256  # channels: 512 bytes, which a warp fetches at once
_MOST_STAYING = 8  # choices of programs that stay

# BLOCK_M, BLOCK_N, BLOCK_K, warps, stages, cached; most likely best first
_WINDOWS = (  # the larger a tile, the less often its operands are fetched: that is what binds here
    *((128, 256, 64, 8, 4, 0), (256, 128, 64, 8, 4, 0), (128, 128, 64, 4, 3, 0), (128, 128, 64, 4, 3, 1)),
    *((256, 128, 64, 8, 3, 1), (256, 64, 64, 8, 4, 0), (128, 64, 64, 4, 4, 0), (256, 64, 64, 8, 2, 1)),
    *((128, 64, 64, 4, 2, 1), (128, 128, 64, 8, 3, 0), (64, 256, 64, 4, 2, 0), (64, 128, 64, 4, 4, 0)),
    *((128, 64, 64, 4, 3, 1), (256, 64, 64, 8, 3, 1)),
)
_POINTS = (
    *((128, 256, 64, 8, 4, 0), (256, 128, 64, 8, 4, 0), (128, 128, 64, 4, 3, 0), (128, 64, 64, 4, 4, 0)),
    *((64, 128, 64, 4, 4, 0), (256, 64, 64, 8, 4, 0), (128, 64, 64, 4, 2, 0), (64, 64, 64, 4, 2, 0)),
)
_NARROW = (  # few pixels: many programs, deep pipelines
    *((64, 32, 64, 4, 8, 0), (64, 32, 128, 4, 6, 0), (64, 64, 64, 4, 6, 0), (64, 64, 128, 4, 4, 0)),
    *((64, 32, 64, 4, 4, 0), (64, 64, 64, 4, 3, 0), (128, 64, 64, 4, 4, 0), (64, 128, 64, 4, 4, 0)),
    (128, 128, 64, 8, 3, 0),
)
_MOST_BESIDE_RESIDUAL = 64  # sums of a thread that holds as many numbers of a residual from the start
# Of programs that stay and keep weights: BLOCK_M, BLOCK_N, warps, stages, programs of a multiprocessor
_KEEPING = ((128, 64, 4, 3, 3), (64, 64, 4, 4, 4), (128, 64, 8, 3, 2), (64, 64, 4, 3, 6), (128, 64, 4, 3, 2))
_MOST_COLUMNS = 256  # tiles of channels that a program unrolls, times input channels
_MOST_UNROLLED = 128  # sums of a thread in all of them: more takes too many registers
# Of programs that stay and stream: BLOCK_M, BLOCK_N, BLOCK_K, warps, stages, programs of a multiprocessor
_STREAMING = (
    *((128, 64, 64, 4, 3, 3), (128, 128, 64, 8, 3, 2), (64, 64, 64, 4, 3, 4), (128, 64, 128, 4, 2, 2)),
    *((128, 128, 64, 4, 3, 2), (64, 128, 64, 4, 3, 3)),
)
_LEAST_STREAMED = 128  # channels: of fewer a tile is one slice, and its weights are kept


class HopperReal(Kernel):
    """fp16 by fp16 to fp16, or bf16 alike, on Hopper's matrix units, added up in float32.

    A choice is (BLOCK_M, BLOCK_N, BLOCK_K, warps, stages, columns, programs, cached): that of
    HopperConvolution, and whether windows that overlap meet in the first-level cache.
    """

    name: ClassVar[str] = "hopper_real"

    def takes(self, operation: Operation, target: Target) -> bool:
        """See the class; whole 16-byte accesses, channels in and out by 16 and 64, no longest windows."""
        node = operation.node
        if target.interpreted or target.capability[0] != 9 or not isinstance(node, Convolution):
            return False
        out_channels, channels, *_ = node.weight.shape
        return (
            operation.precision in FORMATS
            and node.groups == 1
            and node.dilation == (1, 1)
            and channels % 16 == 0
            and out_channels % 64 == 0
            and max(node.weight.shape[2:]) <= LONGEST_WINDOW
            and all(
                is_wide(view, FORMATS[operation.precision]) for view in (*operation.inputs, operation.output)
            )
        )

    def choices(self, operation: Operation, batch_size: int, target: Target) -> tuple[Choice, ...]:
        """Tiles that fit the operation: programs that stay first, where there is enough for them to do."""
        del target
        if is_small(operation, batch_size):
            return tuple(dict.fromkeys(_fitted(operation, _NARROW)))
        if not is_pointwise(operation):
            return tuple(dict.fromkeys(_fitted(operation, _WINDOWS)))
        staying = tuple(dict.fromkeys((*_keeping(operation), *_streaming(operation))))[:_MOST_STAYING]
        return (*staying, *tuple(dict.fromkeys(_fitted(operation, _POINTS)))[:6])

    def weights(self, operation: Operation) -> Mapping[str, Array]:
        """`weight` (out, kernel height, kernel width, in), bf16 as its bits; `bias` (out,) float32."""
        return product_arrays(operation, product_shape_of(operation))

    def launch(
        self,
        operation: Operation,
        choice: Choice,
        batch_size: int,
        tensors: Tensors,
        weights: Mapping[str, Any],
        target: Target,
        scratch: Any = None,
    ) -> Launch:
        """One launch; `scratch` is not needed."""
        del target, scratch
        shape = shape_of(operation, clamp_kind(operation))
        image = tensors(operation.inputs[0])
        return product_launch(operation, choice, batch_size, shape, image, tensors, weights)


def product_launch(
    operation: Operation,
    choice: Choice,
    batch_size: int,
    shape: Shape,
    image: Any,
    tensors: Tensors,
    weights: Mapping[str, Any],
) -> Launch:
    """How an operation is launched as a convolution of `shape` over `image`, with a choice of HopperReal."""
    placed = {"scale": None, **typed(weights, operation.precision)}
    epilogue = epilogue_of(operation)
    return convolution_launch(
        operation, choice, batch_size, shape, epilogue, image, tensors, placed, WIDTH_BYTES
    )


def is_wide(view: View, format: Format) -> bool:
    """Whether a tensor of that format is read and written by whole accesses."""
    return view.format is format and (view.pitch | view.first) % (ACCESS // WIDTH_BYTES) == 0


def _fitted(operation: Operation, tiles: tuple[tuple[int, ...], ...]) -> Iterator[Choice]:
    """Tiles with no more channels in a slice and no more stages than there are, which fit the registers."""
    node = _node(operation)
    for block_m, block_n, block_k, warps, stages, cached in tiles:
        is_heavy = node.has_residual and block_m * block_n > _MOST_BESIDE_RESIDUAL * 32 * warps
        if len(node.weight) % block_n or is_heavy:
            continue
        part = gcd(block_k, node.weight.shape[1])
        room = SHARED_BYTES // ((block_m + block_n) * part * WIDTH_BYTES)
        deep = max(2, min(stages * block_k // part, node.weight[0].size // part, room))
        yield block_m, block_n, part, warps, deep, 0, 0, cached


def _keeping(operation: Operation) -> Iterator[Choice]:
    """Programs that stay, whose weights fit beside the pixels."""
    out_channels, channels, *_ = _node(operation).weight.shape
    for block_m, block_n, warps, most_stages, programs in _KEEPING:
        most = min(gcd(out_channels // block_n, 4), max(1, _MOST_COLUMNS // channels))
        most = min(most, _MOST_UNROLLED * 32 * warps // (block_m * block_n))
        for stages in range(most_stages, 1, -1):
            fitting = [
                columns
                for columns in (4, 2, 1)
                if columns <= most
                and _fits(
                    operation,
                    (block_m, block_n, warps, columns),
                    (stages * block_m + columns * block_n) * channels * WIDTH_BYTES,
                    programs,
                )
            ]
            if fitting:
                part = gcd(channels, _DEEPEST_SLICE)
                yield block_m, block_n, part, warps, stages, fitting[0], programs, 0
                break


def _streaming(operation: Operation) -> Iterator[Choice]:
    """Programs that stay, of a kernel of several slices."""
    out_channels, channels, *_ = _node(operation).weight.shape
    if channels < _LEAST_STREAMED:
        return
    for block_m, block_n, block_k, warps, stages, programs in _STREAMING:
        shared_bytes = stages * (block_m + block_n) * block_k * WIDTH_BYTES
        fits = _fits(operation, (block_m, block_n, warps, 1), shared_bytes, programs)
        if fits and out_channels % block_n == 0 and channels % block_k == 0:
            yield block_m, block_n, block_k, warps, stages, 0, programs, 0


def _fits(operation: Operation, tile: tuple[int, int, int, int], shared_bytes: int, programs: int) -> bool:
    """Whether a multiprocessor has room for so many programs with tiles (BLOCK_M, BLOCK_N, warps, columns).

    A thread holds its sums, the biases of all of its channels, and, two to a register, the residual of this
    tile and the next; it needs some 24 registers besides. The device keeps 1 KiB of each program's shared
    memory.
    """
    block_m, block_n, warps, columns = tile
    sums = block_m * block_n // (32 * warps)
    registers = sums + columns * block_n // 4 + 24 + (sums if _node(operation).has_residual else 0)
    return has_room(shared_bytes, programs) and registers <= registers_of(programs * warps)


def _node(operation: Operation) -> Convolution:
    assert isinstance(operation.node, Convolution)
    return operation.node


KERNELS = (HopperReal,)
