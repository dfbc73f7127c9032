"""The contract of an engine: receipt, load, compile, bind; nothing here knows a framework.

An engine is one file in this folder. It imports its framework only inside methods, so that listing
and planning cost nothing, and it declares what it can do as class attributes, so that a plan can be
made without it.
"""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from tensordyno.catalogue import Catalogue
from tensordyno.clock import Clock
from tensordyno.models.base import PreparedModel
from tensordyno.records.build import Receipt
from tensordyno.vocabulary import Boundary, Precision

FloatArray = NDArray[np.float32]

ENGINES = Catalogue("engines", "engine")


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
    cache: Path  # engine may keep compiled artefacts here


class Step(ABC):
    """One batch bound to its buffers: what the timed loop calls.

    `depth` batches are kept in flight. With depth 1 only `run` is called; with more, the loop calls
    `start` and later `finish` with what `start` returned, oldest first.
    """

    depth: int = 1

    @abstractmethod
    def run(self) -> None:
        """One batch across the boundary; complete (synchronised) on return."""

    def start(self) -> Any:
        """Begin one batch and return its handle. Only for steps with depth > 1."""
        raise TypeError(f"{type(self).__name__} has one batch in flight: call run()")

    def finish(self, handle: Any) -> None:
        """Wait for the batch begun with `handle`. Only for steps with depth > 1."""
        raise TypeError(f"{type(self).__name__} has one batch in flight: call run()")

    @abstractmethod
    def output(self) -> FloatArray:
        """Logits of the last finished batch, float32, shape (batch, classes). Never timed."""


class Engine(ABC):
    """Turns a prepared model into a Step. One instance serves one trial in one process.

    Life cycle, each called once, in order: receipt, load, compile, bind (any number of times), close.
    """

    name: ClassVar[str]
    summary: ClassVar[str]  # one line for `dyno doctor`
    extra: ClassVar[str]  # of pyproject.toml, in the remedy of a missing package
    packages: ClassVar[tuple[str, ...]] = ()  # import names without which there is no receipt
    reads: ClassVar[str] = "onnx"  # or "module": needs the PyTorch definition; "nothing"
    precisions: ClassVar[dict[str, frozenset[Precision]]] = {}  # device kind -> what may work
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
        """Read the prepared model into the engine (timed as load)."""

    @abstractmethod
    def compile(self, example: FloatArray) -> None:
        """Finish the build for this batch size and precision (timed as compile).

        `example` has the shape of one batch: (batch, channels, height, width), float32.
        """

    @abstractmethod
    def bind(self, images: FloatArray, boundary: Boundary) -> Step:
        """A step that runs these images, shape (batch, channels, height, width), at this boundary.

        The number of images equals the setup's batch size.
        """

    def choices(self) -> dict[str, str]:
        """What the engine decided by measuring (layout, streams, ...), with the figures behind it."""
        return {}

    def close(self) -> None:  # noqa: B027  (most engines hold nothing)
        """Release what the engine holds."""


def engine_class(name: str) -> type[Engine]:
    """The class of an engine, its framework still unimported.

    Raises UnknownName with the nearest names.
    """
    module = ENGINES.module(name)
    member: type[Engine] = module.MEMBER
    return member
