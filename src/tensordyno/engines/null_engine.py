"""The engine of known cost: it computes nothing, takes the time it is told, and fails when it is told.

It tests the instrument. Its logits are those of the model's strict FP32 reference, rounded to the
precision asked for, so that the whole pipeline (verification, accuracy, timing, report) runs on
numbers that are known beforehand.
"""

import hashlib
import itertools
import time
from collections.abc import Callable, Iterator
from typing import Annotated, Any, ClassVar, Literal, cast

import msgspec
import numpy as np

import tensordyno
from tensordyno.clock import RealClock
from tensordyno.engines.base import Engine, EngineOptions, EngineSetup, FloatArray, Precisions, Step
from tensordyno.engines.device_facts import device_name
from tensordyno.engines.failures import Failure, fail
from tensordyno.engines.known_work import work
from tensordyno.engines.number_formats import rounded
from tensordyno.models.base import PreparedModel
from tensordyno.records.build import Receipt
from tensordyno.vocabulary import Boundary, Precision

NAME = "null"

_JITTERS = 65_536  # drawn beforehand, so that drawing is not timed

NonNegative = Annotated[float, msgspec.Meta(ge=0)]


class NullOptions(EngineOptions, frozen=True, kw_only=True):
    """What a batch costs and when to fail. Times in seconds."""

    cost_s: NonNegative = 0.001  # of a batch
    per_image_s: NonNegative = 0.0  # added for each image
    load_s: NonNegative = 0.0
    compile_s: NonNegative = 0.0
    depth: Annotated[int, msgspec.Meta(ge=1)] = 1  # batches in flight, side by side
    work: Literal["", "matmul", "copy"] = ""  # do known work instead of waiting; the costs then do not count
    size: Annotated[int, msgspec.Meta(ge=1)] = 256  # of that work: matrix order, or bytes copied
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
    precisions: ClassVar[Precisions] = {"cpu": frozenset(Precision), "cuda": frozenset(Precision)}
    Options = NullOptions

    def __init__(self, setup: EngineSetup, options: EngineOptions) -> None:
        super().__init__(setup, options)
        self._options = cast(NullOptions, options)
        self._durations = _durations(setup, self._options)
        self._reference: dict[bytes, FloatArray] = {}
        self._classes = 0
        self._until_failure = self._options.fail_after

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
        """A step that waits; both boundaries cost the same."""
        self._fail_at("bind")
        logits = self._answer(images)
        if self._options.work:
            return _WorkStep(work(self._options.work, self._options.size), logits)
        return NullStep(self, logits) if self._options.depth == 1 else _SideBySide(self, logits)

    def wait(self) -> Callable[[float], None]:
        """How a step lets time pass: asleep on the setup's clock, busy on the real one, or not at all."""
        if not _cost_s(self.setup, self._options):
            return _nothing  # a sleep of no length takes Linux some 50 microseconds
        busy = self._options.spin and isinstance(self.setup.clock, RealClock)
        return _spin if busy else self.setup.clock.sleep

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


class NullStep(Step):
    """Lets the known time pass, one batch after the other."""

    def __init__(self, engine: NullEngine, logits: FloatArray) -> None:
        self._wait = engine.wait()
        self._next = engine.next_duration()
        self._logits = logits

    def run(self) -> None:
        """Take one batch's time."""
        self._wait(self._next())

    def output(self) -> FloatArray:
        """The reference's logits, shape (batch, classes)."""
        return self._logits.copy()


class _SideBySide(NullStep):
    """As many batches at a time as the depth says: that many times the throughput."""

    def __init__(self, engine: NullEngine, logits: FloatArray) -> None:
        super().__init__(engine, logits)
        self.depth = cast(NullOptions, engine.options).depth
        self._now = engine.setup.clock.now

    def start(self) -> Any:
        """The time at which this batch will be done."""
        return self._now() + self._next()

    def finish(self, handle: Any) -> None:
        """Wait until the batch is done."""
        left_s = handle - self._now()
        if left_s > 0:
            self._wait(left_s)


class _WorkStep(Step):
    """Does one portion of known work a batch."""

    def __init__(self, portion: Callable[[], object], logits: FloatArray) -> None:
        self._portion = portion
        self._logits = logits

    def run(self) -> None:
        """Do one portion."""
        self._portion()

    def output(self) -> FloatArray:
        """The reference's logits, shape (batch, classes)."""
        return self._logits.copy()


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


def _nothing(duration_s: float) -> None:
    pass


def _spin(duration_s: float) -> None:
    end_s = time.perf_counter() + duration_s
    while time.perf_counter() < end_s:
        pass
