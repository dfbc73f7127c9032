"""The engine of known cost: it computes nothing, takes the time it is told, and fails when it is told.

It tests the instrument. Its logits are those of the model's strict FP32 reference, rounded to the
precision asked for, so that the whole pipeline (verification, accuracy, timing, report) runs on
numbers that are known beforehand.
"""

import hashlib
import itertools
from collections.abc import Callable, Iterator
from typing import Annotated, ClassVar, Literal, cast

import msgspec
import numpy as np

import tensordyno
from tensordyno.engines.base import Engine, EngineOptions, EngineSetup, FloatArray, Precisions, Step
from tensordyno.engines.device_facts import device_name
from tensordyno.engines.failures import Failure, fail
from tensordyno.engines.known_memory import KnownMemory
from tensordyno.engines.known_work import work
from tensordyno.engines.null_step import NullStep, SideBySide, WorkStep, waiting
from tensordyno.engines.number_formats import rounded
from tensordyno.models.base import PreparedModel
from tensordyno.records.build import Receipt
from tensordyno.timing.step import filled
from tensordyno.vocabulary import Boundary, Precision

NAME = "null"

_JITTERS = 65_536  # drawn beforehand, so that drawing is not timed

NonNegative = Annotated[float, msgspec.Meta(ge=0)]
Bytes = Annotated[int, msgspec.Meta(ge=0)]


class NullOptions(EngineOptions, frozen=True, kw_only=True):
    """What a batch costs, what memory it needs and when to fail. Times in seconds."""

    cost_s: NonNegative = 0.001  # of a batch
    per_image_s: NonNegative = 0.0  # added for each image
    load_s: NonNegative = 0.0
    compile_s: NonNegative = 0.0
    depth: Annotated[int, msgspec.Meta(ge=1)] = 1  # batches in flight, side by side
    work: Literal["", "matmul", "copy"] = ""  # do known work instead of waiting; the costs then do not count
    size: Annotated[int, msgspec.Meta(ge=1)] = 256  # of that work: matrix order, or bytes copied
    memory_bytes: Bytes = 0  # of the simulated device; 0: endless
    image_bytes: Bytes = 0  # of it that each image of a batch takes
    spin: bool = False  # busy instead of asleep; on the real clock only
    noise: NonNegative = 0.0  # sigma of a lognormal jitter whose mean is 1
    error: NonNegative = 0.0  # noise added to the logits, relative to their root mean square
    fail: Failure = ""
    fail_at: Literal["receipt", "load", "compile", "bind", "run"] = "run"
    fail_after: Annotated[int, msgspec.Meta(ge=0)] = 0  # batches that succeed before fail_at="run"


class NullEngine(Engine):
    """Takes `cost_s + batch_size * per_image_s` seconds a batch and answers with the reference."""

    name = NAME
    summary = "takes a known time and answers with the reference; for testing the instrument"
    extra = ""
    reads = "nothing"
    resizes: ClassVar[frozenset[str]] = frozenset({"cuda"})  # as engines of real GPUs do
    simulates = True
    precisions: ClassVar[Precisions] = {"cpu": frozenset(Precision), "cuda": frozenset(Precision)}
    Options = NullOptions

    def __init__(self, setup: EngineSetup, options: EngineOptions) -> None:
        super().__init__(setup, options)
        self._options = cast(NullOptions, options)
        self._durations = _durations(setup, self._options)
        self._reference: dict[bytes, FloatArray] = {}
        self._classes = 0
        self._until_failure = self._options.fail_after
        self._memory = KnownMemory(self._options.memory_bytes)

    def receipt(self) -> Receipt:
        """Always given, unless told to fail here."""
        self._fail_at("receipt")
        return Receipt(
            engine=self.name,
            version=tensordyno.__version__,
            device=device_name(self.setup.device),
            provider="clock",
            threads=self.setup.threads,
            build_flags="pure Python",
        )

    def load(self, model: PreparedModel) -> None:
        """Read the reference answers; takes `load_s` on the setup's clock."""
        self._fail_at("load")
        with np.load(model.reference) as reference:
            images, logits = reference["images"], reference["logits"]
        self._reference = {_digest(i): row for i, row in zip(images, logits, strict=True)}
        self._classes = model.facts.classes
        self._sleep(self._options.load_s)

    def compile(self, example: FloatArray) -> None:
        """Takes `compile_s` on the setup's clock."""
        self._fail_at("compile")
        self._sleep(self._options.compile_s)

    def bind(self, images: FloatArray, boundary: Boundary) -> Step:
        """A step that waits; both boundaries cost the same. Raises MemoryError for a batch too large."""
        self._fail_at("bind")
        options, size = self._options, self.setup.batch_size
        self._memory.hold(size * options.image_bytes)
        logits = filled(self._answer(images), size)
        if options.work:
            return WorkStep(work(options.work, options.size), logits)
        cost, clock = self.next_duration(), self.setup.clock
        wait = waiting(_cost_s(self.setup, options), clock, spin=options.spin)
        if options.depth == 1:
            return NullStep(wait, cost, logits)
        return SideBySide(wait, cost, logits, depth=options.depth, clock=clock)

    def resize(self, batch_size: int) -> None:
        """Another batch size, and what it costs."""
        super().resize(batch_size)
        self._durations = _durations(self.setup, self._options)

    def release(self) -> None:
        """Give back the simulated memory."""
        self._memory.release()

    def peak_device_bytes(self) -> int | None:
        """Of the simulated memory; None where images take none."""
        return self._memory.peak_bytes if self._options.image_bytes else None

    def next_duration(self) -> Callable[[], float]:
        """What gives the cost of the next batch in seconds, or fails when its time has come."""
        fails = self._options.fail and self._options.fail_at == "run"
        return self._counted if fails else self._durations.__next__

    def _counted(self) -> float:
        if self._until_failure == 0:
            fail(self._options.fail)
        self._until_failure -= 1
        return next(self._durations)

    def _answer(self, images: FloatArray) -> FloatArray:
        logits = np.stack([self._row(image) for image in images]).astype(np.float32)
        if self._options.error:
            noise = np.random.default_rng(self.setup.seed).standard_normal(logits.shape)
            scale = self._options.error * np.sqrt(np.mean(np.square(logits)) / np.mean(np.square(noise)))
            logits = (logits + scale * noise).astype(np.float32)
        return rounded(logits, self.setup.precision)

    def _row(self, image: FloatArray) -> FloatArray:
        digest = _digest(image)
        if digest in self._reference:
            return self._reference[digest]
        drawn = np.random.default_rng([self.setup.seed, *digest]).standard_normal(self._classes)
        return drawn.astype(np.float32)

    def _sleep(self, duration_s: float) -> None:
        if duration_s:
            self.setup.clock.sleep(duration_s)

    def _fail_at(self, place: str) -> None:
        if self._options.fail_at == place:
            fail(self._options.fail)


MEMBER = NullEngine


def _durations(setup: EngineSetup, options: NullOptions) -> Iterator[float]:
    cost_s = _cost_s(setup, options)
    if not options.noise:
        return itertools.repeat(cost_s)
    drawn = np.random.default_rng(setup.seed).standard_normal(_JITTERS)
    jitter = np.exp(options.noise * drawn - options.noise**2 / 2)  # mean 1
    return itertools.cycle((cost_s * jitter).tolist())


def _cost_s(setup: EngineSetup, options: NullOptions) -> float:
    return options.cost_s + setup.batch_size * options.per_image_s


def _digest(image: FloatArray) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(image).tobytes(), digest_size=16).digest()
