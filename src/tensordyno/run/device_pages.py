"""A device's page: its features as the driver tells them, and the ceilings that a worker measures on it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tensordyno.device import device_index, device_kind
from tensordyno.errors import DynoError
from tensordyno.records.device import DevicePage
from tensordyno.records.messages import CeilingsOrder, CeilingsReport, FailureReport
from tensordyno.run.spawn import Worker
from tensordyno.telemetry.base import SensorUnavailable
from tensordyno.telemetry.gpu_features import gpu_features
from tensordyno.telemetry.machine import machine_facts
from tensordyno.units import bytes_text

OF_ANOTHER = "measured on another device of the same name"
_PATIENCE_S = 120.0  # a first import of PyTorch from a slow disk included

Measure = Callable[[str], bool]  # told the device's own name


def device_page(
    device: str, log_folder: Path, measure: Measure = lambda name: True, nvml: Any | None = None
) -> DevicePage:
    """The page of "cpu" or "cuda:N"; `measure` says whether to measure a device of that name as well.

    `nvml` is a binding to ask. Never raises for a device that cannot be read or measured: `reason` tells.
    """
    page = _read(device, nvml)
    if not measure(page.name):
        return DevicePage(device=page.device, name=page.name, features=page.features, reason=OF_ANOTHER)
    report = _measured(device, log_folder / f"ceilings-{page.device}.log")
    return DevicePage(
        device=page.device,
        name=page.name or report.name or device,
        features=page.features | _only(report, page),
        ceilings=report.ceilings,
        reason=report.reason,
    )


def telemetry_name(device: str) -> str:
    """A trial's device as telemetry calls it: "cuda:1" is "gpu1"."""
    return f"gpu{device_index(device)}" if device_kind(device) == "cuda" else device


def _only(report: CeilingsReport, page: DevicePage) -> dict[str, str]:
    """Features that the framework knows and the driver does not tell."""
    return {what: told for what, told in report.features.items() if what not in page.features}


def _read(device: str, nvml: Any | None) -> DevicePage:
    name = telemetry_name(device)
    if not device.startswith("cuda"):
        return _cpu(name)
    try:
        found = {gpu.device: gpu for gpu in gpu_features(nvml)}
    except SensorUnavailable:
        found = {}
    gpu = found.get(name)
    return DevicePage(device=name, name=gpu.name if gpu else "", features=gpu.features if gpu else {})


def _cpu(device: str) -> DevicePage:
    machine = machine_facts()
    features = {
        "Cores allowed": str(machine.cores),
        "Memory": bytes_text(machine.memory_bytes),
        "Instruction sets": ", ".join(machine.instruction_sets),
        "Frequency governor": machine.governor or "",
    }
    known = {what: told for what, told in features.items() if told}
    return DevicePage(device=device, name=machine.cpu, features=known)


def _measured(device: str, log: Path) -> CeilingsReport:
    """What the worker answers, or why it did not."""
    try:
        worker = Worker(log, None, None, "default")
    except DynoError as wrong:
        return CeilingsReport(reason=wrong.sentence)
    try:
        worker.order(CeilingsOrder(device=device))
        report = worker.await_report(_PATIENCE_S)
    except DynoError as wrong:
        return CeilingsReport(reason=wrong.sentence)
    finally:
        worker.finish()
    if isinstance(report, CeilingsReport):
        return report
    told = report.sentence if isinstance(report, FailureReport) else f"answered {type(report).__name__}"
    return CeilingsReport(reason=told)
