"""The ways to compute an operation: a kernel in one of its variants, or its parts one after the other."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from tensordyno.forge.choices import Chosen
from tensordyno.forge.devices import Device
from tensordyno.forge.graph import Fused
from tensordyno.forge.in_parts import InParts
from tensordyno.forge.kernels.base import Choice, Kernel, Launch, Target
from tensordyno.forge.kernels.catalogue import has_kernel, kernel_named, kernels_for
from tensordyno.forge.parts import parts_of
from tensordyno.forge.program import Operation
from tensordyno.forge.storages import Storages
from tensordyno.forge.weights import Weights

if TYPE_CHECKING:
    import torch


_SHORT = 2**23  # numbers that an operation makes


@dataclass(frozen=True, slots=True)
class Candidate:
    """A kernel of the catalogue and its choice."""

    kernel: Kernel
    choice: Choice

    def __str__(self) -> str:
        return f"{self.kernel.name}{list(self.choice)}"

    def chosen(self, us: float | None = None) -> Chosen:
        """As it is kept."""
        return Chosen(kernel=self.kernel.name, choice=self.choice, us=us)

    def used(self, operation: Operation) -> tuple[tuple[Kernel, Operation], ...]:
        """The kernel, with the operation whose weights it wants."""
        return ((self.kernel, operation),)

    def scratch_bytes(self, operation: Operation, batch_size: int) -> int:
        """Memory that its launch needs besides the operation's tensors."""
        return self.kernel.scratch_bytes(operation, self.choice, batch_size)

    def launch(
        self,
        operation: Operation,
        batch_size: int,
        *,
        storages: Storages,
        weights: Weights,
        device: Device,
        scratch: "torch.Tensor",
    ) -> Launch:
        """Ready to run, over these storages. `scratch` has at least `scratch_bytes`."""
        size_bytes = self.scratch_bytes(operation, batch_size)
        needed = {"scratch": scratch[:size_bytes]} if size_bytes else {}
        placed = weights.of(self.kernel, operation)
        made = self.kernel.launch(
            operation, self.choice, batch_size, storages, placed, device.target, **needed
        )
        return made.overlapping() if _is_short(operation, batch_size) and device.target.overlaps else made


Way = Candidate | InParts


def _is_short(operation: Operation, batch_size: int) -> bool:
    """Whether an operation takes so little time that its start counts.

    Where it does not, a kernel that starts early takes places of the one before: ResNet-50 in batches of 256
    was 2 % slower with all kernels overlapping (results/h200/forge/NOTES.md, 6).
    """
    output = operation.output
    return batch_size * output.pixels * output.channels <= _SHORT


def candidate_of(chosen: Chosen) -> Way:
    """What was kept. Raises KeyError where the catalogue has no such kernel."""
    if chosen.parts:
        return InParts(tuple(map(candidate_of, chosen.parts)))
    return Candidate(kernel_named(chosen.kernel), chosen.choice)


def candidates(operation: Operation, batch_size: int, target: Target) -> tuple[Way, ...]:
    """All of them, the most likely best one first. Raises Unsupported where there is none.

    Of a fused operation the last one is in parts, with the likeliest candidate for each.
    """
    if not isinstance(operation.node, Fused):
        return _of_kernels(operation, batch_size, target)
    whole = _of_kernels(operation, batch_size, target) if has_kernel(operation, target) else ()
    likeliest = tuple(candidates(part, batch_size, target)[0] for part in parts_of(operation))
    return (*whole, InParts(likeliest))


def is_candidate(chosen: Chosen, operation: Operation, batch_size: int, target: Target) -> bool:
    """Whether what was chosen some time is a candidate still; in parts, whether each of these is."""
    if chosen.parts:
        parts = parts_of(operation) if isinstance(operation.node, Fused) else ()
        return len(parts) == len(chosen.parts) and all(
            is_candidate(one, part, batch_size, target) for one, part in zip(chosen.parts, parts, strict=True)
        )
    untimed = msgspec.structs.replace(chosen, us=None)
    return untimed in {each.chosen() for each in candidates(operation, batch_size, target)}


def _of_kernels(operation: Operation, batch_size: int, target: Target) -> tuple[Candidate, ...]:
    return tuple(
        Candidate(kernel, choice)
        for kernel in kernels_for(operation, target)
        for choice in kernel.choices(operation, batch_size, target)
    )
