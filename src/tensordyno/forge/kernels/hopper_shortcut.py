"""A residual block's shortcut and last convolution on Hopper, in one: their launches (gluon_shortcut.py)."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from math import gcd
from typing import Any, ClassVar, NamedTuple

from tensordyno.forge.graph import Array, Fused
from tensordyno.forge.kernels.base import Choice, Kernel, Launch, Target, Tensors
from tensordyno.forge.kernels.convolution_weights import epilogue_of
from tensordyno.forge.kernels.gluon_layout import Tile
from tensordyno.forge.kernels.gluon_shortcut import kept_shortcut, streamed_shortcut
from tensordyno.forge.kernels.hopper_convolution import HopperConvolution, clamps_of, is_pointwise, shape_of
from tensordyno.forge.kernels.hopper_programs import SHARED_BYTES, grid_and_limit, has_room, is_small
from tensordyno.forge.parts import parts_of
from tensordyno.forge.program import Operation

Tiles = tuple[tuple[int, ...], ...]

_DEEPEST_SLICE = 128  # channels, of programs that keep weights


class Tables(NamedTuple):
    """Tiles worth timing, likely best first, and the bytes of an element.

    `keeping` and `streaming` are of programs that stay, `wide` and `narrow` of those of one tile, where there
    are many tiles and few.
    """

    keeping: Tiles
    streaming: Tiles
    wide: Tiles
    narrow: Tiles
    width: int


# Of programs that stay and keep weights: BLOCK_M, BLOCK_N, warps, stages, programs, behind
_KEEPING = (
    *((128, 64, 4, 3, 3, 0), (128, 64, 4, 2, 3, 0), (64, 64, 4, 3, 4, 0), (128, 64, 4, 3, 2, 1)),
    *((64, 64, 4, 2, 3, 1), (64, 64, 4, 2, 2, 1), (128, 128, 8, 2, 1, 1), (128, 64, 8, 2, 1, 1)),
)
# Of programs that stay and stream: BLOCK_M, BLOCK_N, BLOCK_K, warps, stages, programs, behind
_STREAMING = (
    *((128, 128, 128, 8, 3, 2, 0), (128, 128, 64, 8, 6, 2, 1), (128, 64, 128, 4, 3, 3, 0)),
    *((128, 128, 128, 8, 3, 2, 1), (256, 128, 128, 8, 4, 1, 1), (128, 128, 128, 4, 3, 2, 1)),
    (128, 64, 128, 4, 3, 3, 1),
)
# Of programs of one tile: BLOCK_M, BLOCK_N, BLOCK_K, warps, stages
_WIDE = ((128, 128, 128, 8, 3), (128, 64, 128, 4, 3), (64, 64, 128, 4, 4))
_NARROW = (  # few pixels: many programs, deep pipelines
    *(
        (64, 32, 128, 4, 8),
        (64, 64, 128, 4, 6),
        (64, 32, 128, 4, 4),
        (64, 64, 128, 4, 3),
        (128, 32, 128, 8, 4),
    ),
    *((128, 64, 128, 8, 4), (128, 64, 128, 4, 4), (64, 128, 128, 4, 4), (64, 64, 256, 4, 4)),
)
_TABLES = Tables(_KEEPING, _STREAMING, _WIDE, _NARROW, width=1)


class HopperShortcut(Kernel):
    """Two 1 x 1 convolutions of int8 on Hopper's matrix units, where the second adds what the first makes.

    A choice is (BLOCK_M, BLOCK_N, BLOCK_K, warps, stages, columns, programs, behind). With `programs` 0 each
    tile has a program of its own. Else so many programs of a multiprocessor stay: each keeps the weights of
    `columns` tiles of channels, or with 0 keeps none. `behind`: products that run on while the next is begun.
    Results are those of reference_folded.py for both convolutions, bit for bit.
    """

    name: ClassVar[str] = "hopper_shortcut"
    alone: ClassVar[Kernel] = HopperConvolution()  # what each of the two would be by itself
    tables: ClassVar[Tables] = _TABLES

    def takes(self, operation: Operation, target: Target) -> bool:
        """See the class; two as `alone` takes them, without padding, the second by steps of 1."""
        return ends_block(operation) and all(self.alone.takes(part, target) for part in parts_of(operation))

    def choices(self, operation: Operation, batch_size: int, target: Target) -> tuple[Choice, ...]:
        """Tiles that fit the operation: programs that stay first, where there is enough for them to do."""
        del target
        tables = self.tables
        if is_small(operation, batch_size):
            return tuple(dict.fromkeys(single(operation, tables.narrow, width=tables.width)))
        found = (
            *islice(keeping(operation, tables.keeping, width=tables.width), 5),
            *streaming(operation, tables.streaming, width=tables.width),
            *single(operation, tables.wide, width=tables.width),
        )
        return tuple(dict.fromkeys(found))[:10]

    def weights(self, operation: Operation) -> Mapping[str, Array]:
        """As of `alone`; those of the shortcut are named `shortcut_weight` and so on."""
        shortcut, expand = parts_of(operation)
        theirs = {f"shortcut_{name}": array for name, array in self.alone.weights(shortcut).items()}
        return theirs | dict(self.alone.weights(expand))

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
        clamps = (clamps_of(epilogue_of(part)) for part in parts_of(operation))
        return end_launch(operation, choice, batch_size, tensors, weights, clamps)


def ends_block(operation: Operation) -> bool:
    """Whether a 1 x 1 convolution adds what another one makes; neither padded, the second by steps of 1."""
    node = operation.node
    if not isinstance(node, Fused) or len(node.parts) != 2:
        return False
    shortcut, expand = node.parts
    return (
        expand.has_residual
        and not shortcut.has_residual
        and expand.inputs[1] == shortcut.output != expand.inputs[0]
        and expand.stride == (1, 1)
        and all(map(is_pointwise, parts_of(operation)))
    )


def end_launch(
    operation: Operation,
    choice: Choice,
    batch_size: int,
    tensors: Tensors,
    weights: Mapping[str, Any],
    clamps: Iterable[int],
    width: int = 1,
) -> Launch:
    """How both are launched with a choice of HopperShortcut, their elements `width` bytes wide.

    `weights` are both kernels' and their scales and biases, the scales None of real numbers; `clamps`
    (Shape.clamps) are those of the shortcut and of the other.
    """
    block_m, block_n, block_k, warps, stages, columns, programs, behind = choice
    shortcut, expand = parts_of(operation)
    first, second, output = epilogue_of(shortcut), epilogue_of(expand), tensors(operation.output)
    first_clamps, second_clamps = clamps
    tile = Tile(
        block_m=block_m,
        block_n=block_n,
        block_k=block_k,
        warps=warps,
        stages=stages,
        columns=max(columns, 1),
        width=width,
    )
    pixels = batch_size * operation.output.pixels
    grid, limit = grid_and_limit(tile, programs, pixels, operation, output, keeps=columns > 0)
    return Launch(
        function=kept_shortcut if columns else streamed_shortcut,
        grid=(grid,),
        arguments={
            "shortcut_image": tensors(shortcut.inputs[0]),
            **{name: weights[name] for name in ("shortcut_weight", "shortcut_scale", "shortcut_bias")},
            "image": tensors(expand.inputs[0]),
            **{name: weights[name] for name in ("weight", "scale", "bias")},
            "output": output,
            "pixels": pixels,
            "shortcut_low": float(first.low),
            "shortcut_high": float(first.high),
            "factor": float(second.residual_factor),
            "low": float(second.low),
            "high": float(second.high),
        },
        constants={
            "SHORTCUT": shape_of(shortcut, first_clamps),
            "SHAPE": shape_of(expand, second_clamps),
            "TILE": tile,
            "BEHIND": behind,
            **limit,
        },
        num_warps=warps,
    )


def keeping(operation: Operation, tiles: Tiles, *, width: int = 1) -> Iterator[Choice]:
    """Programs that stay, with as many weights as fit beside the pixels.

    `tiles` are (BLOCK_M, BLOCK_N, warps, stages, programs, behind).
    """
    channels, out_channels = sum(_channels(operation)), operation.output.channels
    for block_m, block_n, warps, stages, programs, behind in tiles:
        for columns in (8, 4, 2, 1):
            shared_bytes = (stages * block_m + columns * block_n) * channels * width
            if out_channels % (block_n * columns) == 0 and has_room(shared_bytes, programs):
                part = _slice(operation, _DEEPEST_SLICE)
                yield block_m, block_n, part, warps, stages, columns, programs, behind
                break


def streaming(operation: Operation, tiles: Tiles, *, width: int = 1) -> Iterator[Choice]:
    """Programs that stay and fetch weights with pixels; where each product is one slice none lags behind.

    `tiles` are (BLOCK_M, BLOCK_N, BLOCK_K, warps, stages, programs, behind).
    """
    for block_m, block_n, block_k, warps, stages, programs, behind in tiles:
        part = _slice(operation, block_k)
        fits = has_room(stages * (block_m + block_n) * part * width, programs)
        lags = behind == 0 or sum(_channels(operation)) > 2 * part
        if fits and lags and operation.output.channels % block_n == 0:
            yield block_m, block_n, part, warps, stages, 0, programs, behind


def single(operation: Operation, tiles: Tiles, *, width: int = 1) -> Iterator[Choice]:
    """Programs of one tile, whose slices are all asked for at first where there is room.

    `tiles` are (BLOCK_M, BLOCK_N, BLOCK_K, warps, stages).
    """
    for block_m, block_n, block_k, warps, stages in tiles:
        part = _slice(operation, block_k)
        steps = sum(_channels(operation)) // part
        room = SHARED_BYTES // ((block_m + block_n) * part * width)
        deep = max(2, min(stages * block_k // part, steps + 1, room))
        if operation.output.channels % block_n == 0:
            yield block_m, block_n, part, warps, deep, 0, 0, 0


def _slice(operation: Operation, most: int) -> int:
    """Channels that are multiplied at once: what divides those of both images, at most a power of two."""
    return gcd(most, *_channels(operation))


def _channels(operation: Operation) -> tuple[int, int]:
    """Of the shortcut's image and of the other."""
    shortcut, expand = parts_of(operation)
    return shortcut.inputs[0].channels, expand.inputs[0].channels


KERNELS = (HopperShortcut,)
