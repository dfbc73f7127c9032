"""A fused operation computed part by part, where that is faster or there is no other way."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tensordyno.forge.choices import Chosen
from tensordyno.forge.devices import Device
from tensordyno.forge.kernels.base import Kernel, Launch
from tensordyno.forge.memory_plan import ALIGNMENT_BYTES
from tensordyno.forge.parts import between_bytes, parts_of
from tensordyno.forge.program import Operation
from tensordyno.forge.storages import Storages
from tensordyno.forge.weights import Weights

if TYPE_CHECKING:
    import torch

    from tensordyno.forge.candidates import Way

IN_PARTS = "in_parts"  # stands in a choice where a kernel's name stands else


@dataclass(frozen=True, slots=True)
class InParts:
    """A candidate for each part of a Fused node; what lies between them is in scratch memory."""

    parts: "tuple[Way, ...]"

    def __str__(self) -> str:
        return f"{IN_PARTS}({', '.join(map(str, self.parts))})"

    def chosen(self, us: float | None = None) -> Chosen:
        """As it is kept."""
        parts = tuple(part.chosen() for part in self.parts)
        return Chosen(kernel=IN_PARTS, choice=(), us=us, parts=parts)

    def used(self, operation: Operation) -> tuple[tuple[Kernel, Operation], ...]:
        """The kernels that it launches, each with the operation whose weights it wants."""
        return tuple(used for part, each in self._zipped(operation) for used in part.used(each))

    def scratch_bytes(self, operation: Operation, batch_size: int) -> int:
        """For what lies between, and for the part that needs most besides: parts follow each other."""
        own = max(part.scratch_bytes(each, batch_size) for part, each in self._zipped(operation))
        return sum(_between_bytes(operation, batch_size).values()) + own

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
        """The last part's launch, and the others before it. `scratch` has at least `scratch_bytes`."""
        between = {}
        for name, size_bytes in _between_bytes(operation, batch_size).items():
            between[name], scratch = scratch[:size_bytes], scratch[size_bytes:]
        *earlier, last = (
            part.launch(
                each,
                batch_size,
                storages=storages.with_more(between),
                weights=weights,
                device=device,
                scratch=scratch,
            )
            for part, each in self._zipped(operation)
        )
        return replace(last, before=(*earlier, *last.before))

    def _zipped(self, operation: Operation) -> "list[tuple[Way, Operation]]":
        return list(zip(self.parts, parts_of(operation), strict=True))


def _between_bytes(operation: Operation, batch_size: int) -> dict[str, int]:
    """What each storage between the parts takes of the scratch memory, so that the next one is aligned."""
    return {
        name: -(-size_bytes * batch_size // ALIGNMENT_BYTES) * ALIGNMENT_BYTES
        for name, size_bytes in between_bytes(operation).items()
    }
