"""One block of device memory for all storages of a program; those that are never needed together share it.

Storages are placed by decreasing size, each at the lowest free offset ("greedy by size": Pisarchyk and Lee,
"Efficient Memory Management for Deep Neural Net Inference", arXiv:2001.03288).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from tensordyno.errors import Unsupported
from tensordyno.forge.parts import made_by
from tensordyno.forge.program import Program, View

ALIGNMENT_BYTES = 256  # as device allocators align; vector loads and copies in bulk ask for 16 and 128
LARGEST_TENSOR = 2**31 - 1  # elements: kernels count them in int32


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """Where each storage begins in an arena, in bytes. Offsets and the arena's size are multiples of 256."""

    arena_bytes: int
    offsets: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class _Block:
    """A storage with its place, and the operations, by number, between which it holds something."""

    begin: int
    end: int
    first: int
    last: int


def memory_plan(program: Program, batch_size: int) -> MemoryPlan:
    """The plan for a batch. Image and logits stay where nothing else is ever written.

    Raises Unsupported where a tensor of the batch has 2**31 elements or more.
    """
    _check_elements(program, batch_size)
    lifetimes = _lifetimes(program)
    sizes = {name: _aligned(size * batch_size) for name, size in program.storages.items()}
    placed: dict[str, _Block] = {}
    for name in sorted(sizes, key=lambda name: -sizes[name]):
        first, last = lifetimes[name]
        meeting = (block for block in placed.values() if first <= block.last and block.first <= last)
        begin = _lowest_gap(meeting, sizes[name])
        placed[name] = _Block(begin, begin + sizes[name], first, last)
    return MemoryPlan(
        arena_bytes=max(block.end for block in placed.values()),
        offsets=MappingProxyType({name: placed[name].begin for name in sizes}),
    )


def _lifetimes(program: Program) -> dict[str, tuple[int, int]]:
    """The first and the last operation that touches each storage.

    What an operation reads and what it writes are alive together.
    """
    found = dict.fromkeys((program.input.storage, program.output.storage), (0, len(program.operations)))
    for number, operation in enumerate(program.operations):
        for view in (*operation.inputs, operation.output):
            first, last = found.get(view.storage, (number, number))
            found[view.storage] = (first, max(last, number))
    return found


def _lowest_gap(blocks: Iterable[_Block], size: int) -> int:
    """The lowest offset at which `size` bytes meet none of the blocks."""
    offset = 0
    for block in sorted(blocks, key=lambda block: block.begin):
        if offset + size <= block.begin:
            break
        offset = max(offset, block.end)
    return offset


def _check_elements(program: Program, batch_size: int) -> None:
    views = [program.input, *(view for operation in program.operations for view in made_by(operation))]
    largest = max(views, key=_elements)
    if _elements(largest) * batch_size > LARGEST_TENSOR:
        raise Unsupported(
            f"In a batch of {batch_size} the tensor '{largest.storage}' has {_elements(largest) * batch_size}"
            f" elements, and forge's kernels count to {LARGEST_TENSOR}.",
            f"Take batches of at most {LARGEST_TENSOR // _elements(largest)}.",
        )


def _elements(view: View) -> int:
    """Of one image, with what lies between its pixels."""
    return view.pixels * view.pitch


def _aligned(size_bytes: int) -> int:
    return -(-size_bytes // ALIGNMENT_BYTES) * ALIGNMENT_BYTES
