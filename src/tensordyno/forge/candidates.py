"""One way to compute an operation: a kernel in one of its variants."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tensordyno.forge.choices import Chosen
from tensordyno.forge.devices import Device
from tensordyno.forge.kernels.base import Choice, Kernel, Launch, Target
from tensordyno.forge.kernels.catalogue import kernel_named, kernels_for
from tensordyno.forge.program import Operation
from tensordyno.forge.storages import Storages
from tensordyno.forge.weights import Weights

if TYPE_CHECKING:
    import torch


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
        return self.kernel.launch(
            operation, self.choice, batch_size, storages, placed, device.target, **needed
        )


def candidate_of(chosen: Chosen) -> Candidate:
    """What was kept. Raises KeyError where the catalogue has no such kernel."""
    return Candidate(kernel_named(chosen.kernel), chosen.choice)


def candidates(operation: Operation, batch_size: int, target: Target) -> tuple[Candidate, ...]:
    """All of them, the most likely best one first. Raises Unsupported where there is none."""
    return tuple(
        Candidate(kernel, choice)
        for kernel in kernels_for(operation, target)
        for choice in kernel.choices(operation, batch_size, target)
    )
