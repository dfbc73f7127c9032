"""Receipt, build, verify, accuracy: everything between an order and the first burst.

Here, and nowhere else, engine, model, data and scenario meet.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np

from tensordyno.analysis.verification import count_correct, verify
from tensordyno.clock import Clock, FakeClock, RealClock
from tensordyno.datasets.base import DataRequest, InputFormat, open_dataset
from tensordyno.engines.base import Engine, EngineSetup, engine_class
from tensordyno.errors import UsageError
from tensordyno.models.prepared import load_prepared
from tensordyno.records.build import Accuracy, Built
from tensordyno.records.messages import BuildOrder, BuiltReport, ReadyReport
from tensordyno.records.model import ModelFacts
from tensordyno.records.outcome import Phase
from tensordyno.records.trial import Trial
from tensordyno.scenarios.base import SCENARIOS, Scenario
from tensordyno.scenarios.classify import logits_of, logits_of_batches
from tensordyno.vocabulary import WeightsKind
from tensordyno.worker.process import peak_rss_bytes, process_facts, thread_count


class Build:
    """One trial's network inside one engine, with the scenario that will measure it."""

    def __init__(self, order: BuildOrder) -> None:
        self._trial = order.trial
        self._folder = Path(order.folder)
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

    def built(self) -> BuiltReport:
        """Load, compile, run once, verify against the reference, count right answers."""
        engine, trial = self._engine, self._trial
        model = load_prepared(self._folder)
        with np.load(model.reference) as stored:
            images, reference = stored["images"], stored["logits"]
        batch = np.resize(images, (trial.batch_size, *images.shape[1:]))
        with self._phase("load"):
            engine.load(model)
        with self._phase("compile"):
            engine.compile(batch)
        with self._phase("first inference"):
            engine.bind(batch, trial.boundary).run()
        peak_rss = peak_rss_bytes()
        with self._phase("verify"):
            trained = model.facts.weights is not WeightsKind.RANDOM
            verification = verify(logits_of(engine, images), reference, trial.precision, trained)
        accuracy = None
        if verification.passed:
            if trained:  # random weights answer at random, however many images they are asked about
                with self._phase("accuracy"):
                    accuracy = self._accuracy(model.facts)
            scenario = SCENARIOS.module(trial.task).MEMBER
            step = engine.bind(batch, trial.boundary)
            self.scenario = scenario(trial, step, self._clock, self._threads)
        return BuiltReport(
            model=model.facts,
            built=self._built_facts(model.onnx.stat().st_size, peak_rss),
            verification=verification,
            accuracy=accuracy,
            phases=tuple(self._phases),
        )

    def close(self) -> None:
        """Close scenario and engine."""
        if hasattr(self, "scenario"):
            self.scenario.close()
        self._engine.close()

    def _accuracy(self, facts: ModelFacts) -> Accuracy | None:
        """Right answers on the trial's labelled images; None when there are no labels."""
        trial = self._trial
        dataset = open_dataset(
            DataRequest(name=trial.dataset, seed=trial.seed, skip_unreadable=trial.skip_unreadable)
        )
        if not dataset.labelled or not trial.accuracy_images:
            return None
        wanted = InputFormat(
            shape=facts.input_shape, classes=facts.classes, preprocessing=facts.preprocessing
        )
        size = max(trial.batch_size, 32)
        logits, labels = logits_of_batches(self._engine, dataset.batches(size, wanted, trial.accuracy_images))
        return Accuracy(
            images=len(labels),
            top1_correct=count_correct(logits, np.array(labels), 1),
            top5_correct=count_correct(logits, np.array(labels), 5),
            dataset=dataset.name,
            data_hash=dataset.content_hash(trial.accuracy_images),
            unreadable=len(dataset.unreadable),
        )

    def _built_facts(self, model_bytes: int, peak_rss: int) -> Built:
        took = {phase.name: phase.stop_s - phase.start_s for phase in self._phases}
        return Built(
            import_s=took["import"],
            load_s=took["load"],
            compile_s=took["compile"],
            first_inference_s=took["first inference"],
            size_bytes=model_bytes,
            peak_rss_bytes=peak_rss,
            choices=self._engine.choices(),
        )

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        start = self._clock.now()
        yield
        self._phases.append(Phase(name=name, start_s=start, stop_s=self._clock.now()))


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
