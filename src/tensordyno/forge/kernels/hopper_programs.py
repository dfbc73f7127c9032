"""How many programs of a kernel a Hopper GPU has room for, and how many are launched."""

from typing import Any

from tensordyno.forge.kernels.gluon_layout import Tile
from tensordyno.forge.program import Operation

SHARED_BYTES = 232_448  # of a multiprocessor, for one program
REGISTERS = 65_536  # of a multiprocessor
MULTIPROCESSORS = 132  # of an H100 or H200: where there is no device to ask
_RESERVED_BYTES = 1024  # of each program's shared memory, by the device
_TILE = 128, 64  # pixels and channels of a usual one


def is_small(operation: Operation, batch_size: int) -> bool:
    """Whether an operation has too few usual tiles for two on each multiprocessor."""
    pixels = batch_size * operation.output.pixels
    return -(-pixels // _TILE[0]) * (operation.output.channels // _TILE[1]) < 2 * MULTIPROCESSORS


def has_room(shared_bytes: int, programs: int) -> bool:
    """Whether a multiprocessor has the shared memory for so many programs."""
    return (shared_bytes + _RESERVED_BYTES) * programs <= SHARED_BYTES + _RESERVED_BYTES


def registers_of(warps: int) -> int:
    """What a thread may have where so many warps share a multiprocessor; kernels are compiled with it."""
    return min(255, REGISTERS // (warps * 32) // 8 * 8)


def grid_and_limit(
    tile: Tile, programs: int, pixels: int, operation: Operation, tensor: Any, *, keeps: bool
) -> tuple[int, dict[str, int]]:
    """How many programs are launched, and the compiler's limit of registers if they stay.

    With `programs` 0 each tile has one of its own. Else so many of a multiprocessor stay; those that keep
    weights are as many for each group of channels. `tensor` is on the device.
    """
    groups = operation.output.channels // (tile.block_n * tile.columns)
    tiles = -(-pixels // tile.block_m) * groups
    if not programs:
        return tiles, {}
    staying = programs * multiprocessors_of(tensor)
    most = max(1, staying // groups) * groups if keeps else staying
    return min(tiles, most), {"maxnreg": registers_of(programs * tile.warps)}


def multiprocessors_of(tensor: Any) -> int:
    """Of the device of a tensor; of an H200 where that is no GPU."""
    if tensor.device.type != "cuda":
        return MULTIPROCESSORS
    import torch

    return int(torch.cuda.get_device_properties(tensor.device).multi_processor_count)
