"""Receipt, build, verify, accuracy: everything between an order and the first burst.

Here, and nowhere else, engine, model, data and scenario meet.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np

from tensordyno.analysis.verification import verify, worst_repeats, wrong_arithmetic
from tensordyno.clock import Clock, FakeClock, RealClock
from tensordyno.device import device_kind
from tensordyno.engines.base import Engine, EngineSetup, FloatArray, Step, engine_class
from tensordyno.errors import DataError, UsageError, WorkerFailure
from tensordyno.models.base import PreparedModel
from tensordyno.models.prepared import load_prepared
from tensordyno.quantize.base import QuantizedModel
from tensordyno.quantize.table_file import FILE_NAME, read_table
from tensordyno.records.build import Accuracy, Built, Verification
from tensordyno.records.calibration import facts_of
from tensordyno.records.messages import (
    BuildOrder,
    BuiltReport,
    FitOrder,
    ProgressReport,
    ReadyReport,
    StartOrder,
)
from tensordyno.records.outcome import Phase
from tensordyno.records.trial import ALONE, Rank, Trial, build_key
from tensordyno.scenarios.base import SCENARIOS, Scenario
from tensordyno.scenarios.classify import logits_of
from tensordyno.timing.step import filled
from tensordyno.vocabulary import Precision, Task, WeightsKind
from tensordyno.worker.process import peak_rss_bytes, process_facts, take_share, thread_count
from tensordyno.worker.right_answers import Answers, right_answers

_NO_ANSWERS: Answers = np.empty((0, 3), np.int32)
_OTHER_ENGINE = {
    "cpu": "Take another engine: onnxruntime, openvino or torch-compile.",
    "cuda": "Take another engine: forge.",
}


class Build:
    """One network inside one engine, with the scenario that measures one batch size of it at a time."""

    def __init__(self, order: StartOrder) -> None:
        take_share(order.rank)
        self._first = order.trial
        self._kind = device_kind(order.trial.device)
        self._folder = Path(order.folder)
        self._threads = thread_count(order.trial)
        self._clock: Clock = FakeClock() if order.trial.measurement.clock == "fake" else RealClock()
        self._phases: list[Phase] = []
        self._loaded: PreparedModel | None = None
        self._engine = make_engine(order.trial, self._threads, self._clock, _cache(order), order.rank)
        self.scenario: Scenario | None = None

    def ready(self) -> ReadyReport:
        """Import the framework and take the engine's receipt."""
        with self._phase("import"):
            receipt = self._engine.receipt()
        return ReadyReport(receipt=receipt, process=process_facts(self._first, self._threads))

    def built(
        self, order: BuildOrder, say: Callable[[ProgressReport], None] = lambda report: None
    ) -> BuiltReport:
        """Load if that is due, compile, run once, prove the label, verify, count right answers.

        `say` hears how many images have been answered. Raises DataError: `not-int8`, `already-quantized`,
        `bad-table`, `not-prepared`; WorkerFailure for a trial of another build; and whatever the engine
        raises.
        """
        trial, reused = order.trial, self._loaded is not None
        quantized = _quantized(Path(order.quantized)) if order.quantized else None
        model = self._resized(trial, Path(order.folder), quantized)
        with np.load(model.reference) as stored:
            images, reference = stored["images"], stored["logits"]
        step = self._first_inference(trial, images)
        peak_rss, peak_device = peak_rss_bytes(), self._engine.peak_device_bytes()
        layers = self._prove_label(trial, model, quantized)
        with self._phase("verify"):
            verification = self._verify(trial, model, step, images, reference)
        accuracy, answers = self._ask(trial, model, say) if verification.passed else (None, _NO_ANSWERS)
        if verification.passed and trial.task is not Task.ACCURACY:
            scenario = SCENARIOS.module(trial.task).MEMBER
            self.scenario = scenario(trial, step, self._clock, self._threads)
        facts = self._built_facts(model.onnx.stat().st_size, layers)
        return BuiltReport(
            model=model.facts,
            built=msgspec.structs.replace(
                facts, peak_rss_bytes=peak_rss, peak_device_bytes=peak_device, reused=reused
            ),
            verification=verification,
            accuracy=accuracy,
            phases=self._take_phases(),
            calibration=facts_of(quantized.table, reused=False) if quantized else None,
            answers=answers.astype("<i4").tobytes(),
        )

    def fits(self, order: FitOrder) -> int | None:
        """Build another batch size and run it once; the device memory that this held at most, if known.

        Raises MemoryError when it does not fit; `release` makes room again.
        """
        quantized = _quantized(Path(order.quantized)) if order.quantized else None
        model = self._resized(order.trial, Path(order.folder), quantized)
        with np.load(model.reference) as stored:
            self._first_inference(order.trial, stored["images"])
        self._take_phases()
        return self._engine.peak_device_bytes()

    def release(self) -> None:
        """Let go of the batch and of its memory on the device."""
        if self.scenario:
            self.scenario.close()
            self.scenario = None
        self._engine.release()

    def close(self) -> None:
        """Close scenario and engine."""
        if self.scenario:
            self.scenario.close()
        self._engine.close()

    def _resized(self, trial: Trial, folder: Path, quantized: QuantizedModel | None) -> PreparedModel:
        """The prepared network, loaded now or by an earlier trial, with the engine set to this batch size."""
        is_first = self._loaded is None
        if self._loaded is None:
            self._loaded = self._model(trial, folder, quantized)
            with self._phase("load"):
                self._engine.load(self._loaded)
        if is_first and trial.batch_size == self._engine.setup.batch_size:
            return self._loaded
        if build_key(trial) != build_key(self._first) or self._kind not in self._engine.resizes:
            raise WorkerFailure(
                "broken-conversation", "This worker holds another build than the one ordered."
            )
        self.release()
        self._engine.resize(trial.batch_size)
        return self._loaded

    def _model(self, trial: Trial, folder: Path, quantized: QuantizedModel | None) -> PreparedModel:
        """The prepared network; for INT8 with the Q/DQ file in the form that the engine wants."""
        model = load_prepared(folder)
        if model.facts.quantized and trial.precision is not Precision.INT8:
            raise DataError(
                "already-quantized",
                f"{model.facts.name} is a Q/DQ network and can only run in int8.",
                "Type: --precision int8",
            )
        if quantized is None:
            return model
        return msgspec.structs.replace(model, onnx=quantized.onnx(self._engine.activations))

    def _first_inference(self, trial: Trial, images: FloatArray) -> Step:
        """Compile, and run one batch on the step that will be measured."""
        batch = self._batch(images, trial.batch_size)
        with self._phase("compile"):
            self._engine.compile(batch)
        with self._phase("first inference"):
            step = self._engine.bind(batch, trial.boundary)
            step.run()
        return step

    def _batch(self, images: FloatArray, size: int) -> FloatArray:
        """The reference images as a batch; an engine that resizes on a GPU repeats them there."""
        if self._kind != "cpu" and self._kind in self._engine.resizes:
            return images[:size]
        return filled(images, size)

    def _prove_label(
        self, trial: Trial, model: PreparedModel, quantized: QuantizedModel | None
    ) -> dict[str, int]:
        """What the engine counts by number format. Raises DataError (`not-int8`) for an empty promise."""
        layers = self._engine.arithmetic()
        if trial.precision is Precision.INT8:
            table = quantized.table if quantized else None
            planned = sum(x.int8 for x in table.layers) if table else model.facts.int8_layers
            if reason := wrong_arithmetic(layers, planned):
                raise DataError("not-int8", f"{self._engine.name}: {reason}", _OTHER_ENGINE[self._kind])
        return layers

    def _verify(
        self, trial: Trial, model: PreparedModel, step: Step, images: FloatArray, reference: FloatArray
    ) -> Verification:
        """The very step that will be measured answers too: it must not be quick and wrong."""
        own, expected = step.output(), reference
        if len(own) < len(images):
            expected = np.concatenate([reference[: len(own)], reference])
            own = np.concatenate([own, logits_of(self._engine, images)])
        elif own.shape[1:] == reference.shape[1:]:
            own = worst_repeats(own, reference)
        is_trained, quantized = _is_trained(model), model.facts.quantized
        return verify(own, expected, trial.precision, is_trained, same_rounding=quantized)

    def _ask(
        self, trial: Trial, model: PreparedModel, say: Callable[[ProgressReport], None]
    ) -> tuple[Accuracy | None, Answers]:
        """Right answers, unless the weights are random: those answer at random, whatever they are asked."""
        if not _is_trained(model):
            return None, _NO_ANSWERS
        with self._phase("accuracy"):
            return right_answers(self._engine, trial, model.facts, self._clock, say)

    def _built_facts(self, model_bytes: int, layers: dict[str, int]) -> Built:
        took = {phase.name: phase.stop_s - phase.start_s for phase in self._phases}
        return Built(
            import_s=took.get("import", 0.0),
            load_s=took.get("load", 0.0),
            compile_s=took["compile"],
            first_inference_s=took["first inference"],
            size_bytes=model_bytes,
            choices=self._engine.choices(),
            arithmetic=layers,
        )

    def _take_phases(self) -> tuple[Phase, ...]:
        phases, self._phases = tuple(self._phases), []
        return phases

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        start = self._clock.now()
        yield
        self._phases.append(Phase(name=name, start_s=start, stop_s=self._clock.now()))


def _cache(order: StartOrder) -> Path:
    """Where the trial's engine keeps things: beside the network, unless it serves all with them."""
    shared = order.cache and engine_class(order.trial.engine.name).keeps_for_all
    return Path(order.cache if shared else order.folder)


def _quantized(folder: Path) -> QuantizedModel:
    return QuantizedModel(folder=folder, table=read_table(folder / FILE_NAME))


def _is_trained(model: PreparedModel) -> bool:
    return model.facts.weights is not WeightsKind.RANDOM


def make_engine(trial: Trial, threads: int, clock: Clock, cache: Path, rank: Rank = ALONE) -> Engine:
    """The trial's engine on this rank's device, its framework still unimported.

    Raises UnknownName for the engine, UsageError for its options.
    """
    kind = engine_class(trial.engine.name)
    try:
        options = msgspec.convert(trial.engine.options, kind.Options)
    except msgspec.ValidationError as wrong:
        raise UsageError("engine-options", f"{trial.engine.name}: {wrong}.") from wrong
    setup = EngineSetup(
        precision=trial.precision,
        batch_size=trial.batch_size,
        device=rank.device_of(trial),
        threads=threads,
        seed=trial.seed,
        clock=clock,
        cache=cache,
    )
    return kind(setup, options)
