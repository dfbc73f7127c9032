"""The contract of an engine: receipt, load, compile, bind; nothing here knows a framework.

An engine is one file in this folder. It imports its framework only inside methods, so that listing
and planning cost nothing, and it declares what it can do as class attributes, so that a plan can be
made without it.
"""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

import msgspec

from tensordyno.catalogue import Catalogue
from tensordyno.clock import Clock
from tensordyno.models.base import PreparedModel
from tensordyno.quantize.base import Form
from tensordyno.records.build import Receipt
from tensordyno.timing.step import FloatArray, Step
from tensordyno.vocabulary import Boundary, Precision

Precisions = dict[str, frozenset[Precision]]  # kind of device -> what may work
Refusals = dict[str, dict[Precision, str]]  # kind of device -> precision -> why not

_SHARED_CODE = frozenset(
    {
        "device_facts",
        "failures",
        "forge_step",
        "framework",
        "known_memory",
        "known_work",
        "null_step",
        "number_formats",
        "onnx_layers",
        "openvino_layers",
        "openvino_step",
        "onnx_runtime_cuda",
        "onnx_runtime_provider",
        "onnx_runtime_step",
        "out_of_memory",
        "shortage",
        "torch_cuda",
        "torch_cuda_step",
        "torch_engine",
        "torch_int8",
        "torch_operations",
        "torch_settings",
        "torch_step",
    }
)
ENGINES = Catalogue("engines", "engine", besides=_SHARED_CODE)

# Reasons that hold for every engine which does not claim the precision.
_REFUSALS = {
    Precision.TF32: "tf32 is a number format of NVIDIA GPUs",
    Precision.FP8: "fp8 needs a calibrated network, and this engine reads float32 ones",
}

__all__ = [
    "ENGINES",
    "Engine",
    "EngineOptions",
    "EngineSetup",
    "FloatArray",
    "Precisions",
    "Refusals",
    "Step",
    "engine_class",
]


class EngineOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of an engine's own options; a spec's `options` are checked against the fields."""


class EngineSetup(msgspec.Struct, frozen=True, kw_only=True):
    """What the worker hands to an engine besides its options."""

    precision: Precision
    batch_size: int
    device: str  # "cpu", "cuda:0"
    threads: int
    seed: int
    clock: Clock
    cache: Path  # what an engine compiles or chooses may be kept here: the network's, or everybody's


class Engine(ABC):
    """Turns a prepared model into a Step. One instance serves one trial in one process.

    Life cycle, in order: receipt, load, compile, bind (any number of times), close, each once. An engine that
    `resizes` may go back to compile after `release` and `resize`.
    """

    name: ClassVar[str]
    summary: ClassVar[str]  # one line for `dyno doctor`
    extra: ClassVar[str]  # of pyproject.toml, in the remedy of a missing package
    packages: ClassVar[tuple[str, ...]] = ()  # import names without which there is no receipt
    reads: ClassVar[str] = "onnx"  # or "module": needs the PyTorch definition; "nothing"
    resizes: ClassVar[frozenset[str]] = frozenset()  # kinds of device where `resize` spares a new process
    simulates: ClassVar[bool] = False  # needs no real device: runs on any that is named
    keeps_for_all: ClassVar[bool] = False  # its cache is one that networks share, not the network's own
    activations: Form = Form.UINT8  # the form of Q/DQ file it runs fastest
    precisions: ClassVar[Precisions] = {}
    refusals: ClassVar[Refusals] = {}
    Options: ClassVar[type[EngineOptions]] = EngineOptions

    def __init__(self, setup: EngineSetup, options: EngineOptions) -> None:
        self.setup = setup
        self.options = options

    @abstractmethod
    def receipt(self) -> Receipt:
        """Import the framework, apply thread settings, and prove that it runs.

        Raises MissingPackage when it is not installed, Unsupported when the device or the precision
        is not to be had on this machine (the sentence is the reason a reader sees).
        """

    @abstractmethod
    def load(self, model: PreparedModel) -> None:
        """Read the prepared model into the engine (timed as load).

        For an INT8 trial `model.onnx` is the Q/DQ file in the form of `activations`.
        """

    @abstractmethod
    def compile(self, example: FloatArray) -> None:
        """Finish the build for this batch size and precision (timed as compile).

        `example`, float32, shape (batch, channels, height, width), is what `bind` will get: it may hold
        fewer images than the setup's batch size, which alone says how large the batch is.
        """

    @abstractmethod
    def bind(self, images: FloatArray, boundary: Boundary) -> Step:
        """A step that runs these images, shape (batch, channels, height, width), at this boundary.

        Fewer images than the setup's batch size are repeated in their order until the batch is full, on the
        device where that saves copying.
        """

    @classmethod
    def refusal(cls, device_kind: str, precision: Precision) -> str | None:
        """Why a plan skips this precision on this kind of device ("cpu", "cuda"); None: it may work.

        Answers from the class attributes, with no framework imported. What depends on the machine
        (a CPU without bfloat16 instructions) only shows when `receipt` raises Unsupported.
        """
        if device_kind not in cls.precisions:
            return f"{cls.name} does not run on {device_kind} devices"
        if precision in cls.precisions[device_kind]:
            return None
        own = cls.refusals.get(device_kind, {}).get(precision)
        return own or _REFUSALS.get(precision) or f"{cls.name} has no {precision} on {device_kind} devices"

    def choices(self) -> dict[str, str]:
        """What the engine decided by measuring (layout, streams, ...), with the figures behind it."""
        return {}

    def arithmetic(self) -> dict[str, int]:
        """How many layers with weights compute in which number format, from the engine's own account.

        Keys are "int8", "fp32", "bf16", ...; empty when the engine cannot tell. After `compile`. An INT8
        trial is refused when this shows that the INT8 layers of its Q/DQ file do not run in INT8.
        """
        return {}

    def answer(self, images: FloatArray) -> FloatArray:
        """Logits (batch, classes) of one batch of images, never timed."""
        step = self.bind(images, Boundary.HOST)
        step.run()
        return step.output()

    def resize(self, batch_size: int) -> None:
        """Take another batch size before the next `compile`; only where the engine `resizes`."""
        self.setup = msgspec.structs.replace(self.setup, batch_size=batch_size)

    def release(self) -> None:  # noqa: B027  (most engines hold nothing between batches)
        """Give back the device memory of the batches bound so far; the loaded network stays."""

    def peak_device_bytes(self) -> int | None:
        """Most device memory held at once since `load` or the last `release`; None where there is none."""
        return None

    def close(self) -> None:  # noqa: B027  (most engines hold nothing)
        """Release what the engine holds."""


def engine_class(name: str) -> type[Engine]:
    """The class of an engine, its framework still unimported.

    Raises UnknownName with the nearest names.
    """
    module = ENGINES.module(name)
    member: type[Engine] = module.MEMBER
    return member
