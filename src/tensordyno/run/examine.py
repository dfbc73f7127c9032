"""Asks every engine for its receipt, in every precision: what works here, and why the rest does not."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from tensordyno.device import device_kind
from tensordyno.engines.base import ENGINES, Engine, engine_class
from tensordyno.errors import WorkerFailure
from tensordyno.records.build import Receipt
from tensordyno.records.messages import FailureReport, ReadyReport, ReceiptOrder
from tensordyno.records.trial import EngineChoice, Trial
from tensordyno.run.spawn import Worker
from tensordyno.vocabulary import Precision

_PATIENCE_S = 120.0


class EngineFinding(NamedTuple):
    """One engine on one kind of device: its receipt if it gave one, what works, why the rest does not."""

    engine: str
    receipt: Receipt | None
    works: tuple[Precision, ...]
    refusals: dict[Precision, str]


def examine_engines(device: str = "cpu") -> Iterator[EngineFinding]:
    """Each engine of the catalogue, asked in a process of its own."""
    with TemporaryDirectory(prefix="dyno-doctor-") as folder:
        for name in ENGINES.names():
            yield _examine(engine_class(name), device, Path(folder) / f"{name}.log")


def _examine(engine: type[Engine], device: str, log: Path) -> EngineFinding:
    receipt: Receipt | None = None
    works: list[Precision] = []
    refusals: dict[Precision, str] = {}
    worker = Worker(log, None, None, "default")
    try:
        for precision in Precision:
            refusal = engine.refusal(device_kind(device), precision)
            answer = refusal or _ask(worker, engine.name, precision, device)
            if isinstance(answer, Receipt):
                works.append(precision)
                receipt = receipt or answer
            else:
                refusals[precision] = answer
    except WorkerFailure as died:
        refusals.setdefault(Precision.FP32, died.line())
    finally:
        worker.finish()
    return EngineFinding(engine.name, receipt, tuple(works), refusals)


def _ask(worker: Worker, engine: str, precision: Precision, device: str) -> Receipt | str:
    trial = Trial(
        id=f"doctor-{engine}",
        model="none",
        engine=EngineChoice(name=engine),
        precision=precision,
        batch_size=1,
        device=device,
    )
    worker.order(ReceiptOrder(trial=trial))
    report = worker.await_report(_PATIENCE_S)
    if isinstance(report, ReadyReport):
        return report.receipt
    if isinstance(report, FailureReport):
        return f"{report.sentence} {report.remedy}".strip()
    return f"answered {type(report).__name__}"
