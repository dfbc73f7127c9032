"""Receipt, build, verify, accuracy: everything between an order and the first burst.

Here, and nowhere else, engine, model, data and scenario meet.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np

from tensordyno.analysis.verification import verify, wrong_arithmetic
from tensordyno.clock import Clock, FakeClock, RealClock
from tensordyno.engines.base import Engine, EngineSetup, FloatArray, engine_class
from tensordyno.errors import DataError, UsageError
from tensordyno.models.base import PreparedModel
from tensordyno.models.prepared import load_prepared
from tensordyno.quantize.base import QuantizedModel
from tensordyno.quantize.table_file import FILE_NAME, read_table
from tensordyno.records.build import Accuracy, Built, Verification
from tensordyno.records.calibration import facts_of
from tensordyno.records.messages import BuildOrder, BuiltReport, ProgressReport, ReadyReport
from tensordyno.records.outcome import Phase
from tensordyno.records.trial import Trial
from tensordyno.scenarios.base import SCENARIOS, Scenario
from tensordyno.scenarios.classify import logits_of
from tensordyno.vocabulary import Precision, Task, WeightsKind
from tensordyno.worker.process import peak_rss_bytes, process_facts, thread_count
from tensordyno.worker.right_answers import Answers, right_answers

_NO_ANSWERS: Answers = np.empty((0, 3), np.int32)
_OTHER_ENGINE = "Take another engine: onnxruntime, openvino or torch-compile."


class Build:
    """One trial's network inside one engine, with the scenario that will measure it."""

    def __init__(self, order: BuildOrder) -> None:
        self._trial = order.trial
        self._folder = Path(order.folder)
        self._quantized = _quantized(Path(order.quantized)) if order.quantized else None
        self._threads = thread_count(order.trial)
        self._clock: Clock = FakeClock() if order.trial.measurement.clock == "fake" else RealClock()
        self._phases: list[Phase] = []
        self._engine = make_engine(order.trial, self._threads, self._clock, self._folder)
        self.scenario: Scenario

    def ready(self) -> ReadyReport:
        """Import the framework and take the engine's receipt."""
        with self._phase("import"):
            receipt = self._engine.receipt()
        return ReadyReport(receipt=receipt, process=process_facts(self._trial, self._threads))

    def built(self, say: Callable[[ProgressReport], None] = lambda report: None) -> BuiltReport:
        """Load, compile, run once, prove the label, verify against the reference, count right answers.

        `say` hears how many images have been answered. Raises DataError: `not-int8`, `already-quantized`,
        `bad-table`, `not-prepared`; and whatever the engine raises.
        """
        model = self._model()
        with np.load(model.reference) as stored:
            images, reference = stored["images"], stored["logits"]
        batch = np.resize(images, (self._trial.batch_size, *images.shape[1:]))
        peak_rss = self._first_inference(model, batch)
        layers = self._prove_label(model)
        with self._phase("verify"):
            verification = self._verify(model, images, reference)
        accuracy, answers = self._ask(model, say) if verification.passed else (None, _NO_ANSWERS)
        if verification.passed and self._trial.task is not Task.ACCURACY:
            scenario = SCENARIOS.module(self._trial.task).MEMBER
            step = self._engine.bind(batch, self._trial.boundary)
            self.scenario = scenario(self._trial, step, self._clock, self._threads)
        return BuiltReport(
            model=model.facts,
            built=self._built_facts(model.onnx.stat().st_size, peak_rss, layers),
            verification=verification,
            accuracy=accuracy,
            phases=tuple(self._phases),
            calibration=facts_of(self._quantized.table, reused=False) if self._quantized else None,
            answers=answers.astype("<i4").tobytes(),
        )

    def close(self) -> None:
        """Close scenario and engine."""
        if hasattr(self, "scenario"):
            self.scenario.close()
        self._engine.close()

    def _model(self) -> PreparedModel:
        """The prepared network; for INT8 with the Q/DQ file in the form that the engine wants."""
        model = load_prepared(self._folder)
        if model.facts.quantized and self._trial.precision is not Precision.INT8:
            raise DataError(
                "already-quantized",
                f"{model.facts.name} is a Q/DQ network and can only run in int8.",
                "Type: --precision int8",
            )
        if self._quantized is None:
            return model
        return msgspec.structs.replace(model, onnx=self._quantized.onnx(self._engine.activations))

    def _first_inference(self, model: PreparedModel, batch: FloatArray) -> int:
        """Load, compile, and run one batch; the most memory held until then, in bytes."""
        with self._phase("load"):
            self._engine.load(model)
        with self._phase("compile"):
            self._engine.compile(batch)
        with self._phase("first inference"):
            self._engine.bind(batch, self._trial.boundary).run()
        return peak_rss_bytes()

    def _prove_label(self, model: PreparedModel) -> dict[str, int]:
        """What the engine counts by number format. Raises DataError (`not-int8`) for an empty promise."""
        layers = self._engine.arithmetic()
        if self._trial.precision is Precision.INT8:
            table = self._quantized.table if self._quantized else None
            planned = sum(x.int8 for x in table.layers) if table else model.facts.int8_layers
            if reason := wrong_arithmetic(layers, planned):
                raise DataError("not-int8", f"{self._engine.name}: {reason}", _OTHER_ENGINE)
        return layers

    def _verify(self, model: PreparedModel, images: FloatArray, reference: FloatArray) -> Verification:
        return verify(
            logits_of(self._engine, images),
            reference,
            self._trial.precision,
            _is_trained(model),
            same_rounding=model.facts.quantized,
        )

    def _ask(
        self, model: PreparedModel, say: Callable[[ProgressReport], None]
    ) -> tuple[Accuracy | None, Answers]:
        """Right answers, unless the weights are random: those answer at random, whatever they are asked."""
        if not _is_trained(model):
            return None, _NO_ANSWERS
        with self._phase("accuracy"):
            return right_answers(self._engine, self._trial, model.facts, self._clock, say)

    def _built_facts(self, model_bytes: int, peak_rss: int, layers: dict[str, int]) -> Built:
        took = {phase.name: phase.stop_s - phase.start_s for phase in self._phases}
        return Built(
            import_s=took["import"],
            load_s=took["load"],
            compile_s=took["compile"],
            first_inference_s=took["first inference"],
            size_bytes=model_bytes,
            peak_rss_bytes=peak_rss,
            choices=self._engine.choices(),
            arithmetic=layers,
        )

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        start = self._clock.now()
        yield
        self._phases.append(Phase(name=name, start_s=start, stop_s=self._clock.now()))


def _quantized(folder: Path) -> QuantizedModel:
    return QuantizedModel(folder=folder, table=read_table(folder / FILE_NAME))


def _is_trained(model: PreparedModel) -> bool:
    return model.facts.weights is not WeightsKind.RANDOM


def make_engine(trial: Trial, threads: int, clock: Clock, cache: Path) -> Engine:
    """The trial's engine, its framework still unimported.

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
        device=trial.device,
        threads=threads,
        seed=trial.seed,
        clock=clock,
        cache=cache,
    )
    return kind(setup, options)
