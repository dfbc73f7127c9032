"""Calibrates a prepared network for INT8, or finds that this was done before."""

from collections.abc import Callable
from pathlib import Path

from tensordyno.clock import RealClock
from tensordyno.models.prepared import load_prepared
from tensordyno.records.calibration import facts_of
from tensordyno.records.messages import ProgressReport, QuantizedReport, QuantizeOrder
from tensordyno.records.outcome import Phase
from tensordyno.worker.progress import Spaced


def quantize_model(order: QuantizeOrder, say: Callable[[ProgressReport], None]) -> QuantizedReport:
    """Answer the order; `say` is told how far it has come.

    Raises DataError, UsageError, UnknownName, MissingPackage and StoreError as `quantize` does.
    """
    from tensordyno.quantize.calibrate import quantize

    clock = RealClock()
    start = clock.now()
    quantized, reused = quantize(
        load_prepared(Path(order.folder)),
        order.trial,
        Path(order.cache),
        sensitivity=order.sensitivity,
        table=Path(order.table) if order.table else None,
        progress=Spaced(say, clock),
    )
    return QuantizedReport(
        folder=str(quantized.folder),
        facts=facts_of(quantized.table, reused=reused),
        phase=Phase(name="quantize", start_s=start, stop_s=clock.now()),
    )
