"""The contract of a kernel: which operations it can do, in which variants, and how it is launched."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from tensordyno.forge.graph import Array
from tensordyno.forge.program import Operation, View

Choice = tuple[
    int, ...
]  # the numbers that tell one variant of a kernel from another: block sizes, warps, stages
Tensors = Callable[[View], Any]  # a flat torch tensor that begins at the view's first element


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is compiled for. `capability` (9, 0) is Hopper; `interpreted`: Triton's interpreter on a CPU."""

    capability: tuple[int, int] = (9, 0)
    interpreted: bool = False

    @property
    def has_assembly(self) -> bool:
        """Whether kernels may hold PTX."""
        return not self.interpreted

    @property
    def overlaps(self) -> bool:
        """Whether a kernel can start while the one before it ends (early_start.py)."""
        return not self.interpreted and self.capability >= (9, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """One kernel ready to run: what `function[grid](**arguments, **constants, num_warps=...)` says.

    `arguments` are torch tensors and numbers in the order of the function's parameters, `constants` its
    compile-time ones, and options of the compiler such as maxnreg. `before` are launches whose results this
    one reads, run first, in order: an operation of two kernels is still one launch. One that `overlaps`
    starts while what was launched before it ends: its function waits for that itself (early_start.py).
    """

    function: Any  # a triton.jit or gluon.jit function
    grid: tuple[int, ...]
    arguments: Mapping[str, Any]
    constants: Mapping[str, Any] = field(default_factory=dict)
    num_warps: int = 4
    num_stages: int = 2
    before: tuple["Launch", ...] = ()
    overlaps: bool = False

    @property
    def options(self) -> dict[str, Any]:
        """What the compiler is told besides constants."""
        early = {"launch_pdl": True} if self.overlaps else {}
        return {"num_warps": self.num_warps, "num_stages": self.num_stages, **early}

    def overlapping(self) -> "Launch":
        """The same for a device where `Target.overlaps`, and so what comes before it."""
        return replace(self, before=tuple(each.overlapping() for each in self.before), overlaps=True)

    def run(self) -> None:
        """Enqueue it on the current stream, what comes before it first."""
        for launch in self.before:
            launch.run()
        self.function[self.grid](**self.arguments, **self.constants, **self.options)


class Kernel(ABC):
    """One way to compute some operations. Kernels hold no state; the catalogue lists them, best first."""

    name: ClassVar[str]

    @abstractmethod
    def takes(self, operation: Operation, target: Target) -> bool:
        """Whether it computes this operation exactly as the reference does."""

    @abstractmethod
    def choices(self, operation: Operation, batch_size: int, target: Target) -> tuple[Choice, ...]:
        """The variants worth timing, the most likely best one first; never empty for what it `takes`."""

    def weights(self, operation: Operation) -> Mapping[str, Array]:
        """Arrays that live on the device: weights in the kernel's order, folded factors; {} for none."""
        del operation
        return {}

    @abstractmethod
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
        """How this operation is launched with that choice. `weights` are those of `weights`, on the device.

        `scratch` is a uint8 torch tensor of at least `scratch_bytes`, 256-byte aligned, whose contents are
        undefined before and after; None where `scratch_bytes` is 0.
        """

    def scratch_bytes(self, operation: Operation, choice: Choice, batch_size: int) -> int:
        """Device memory that a launch needs for values between its kernels; nobody reads it afterwards."""
        del operation, choice, batch_size
        return 0
