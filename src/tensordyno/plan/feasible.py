"""Which trials cannot work on this machine, and why: reasons for Skips, never errors."""

from pathlib import Path

from tensordyno.device import device_kind
from tensordyno.engines.base import Engine, engine_class
from tensordyno.errors import MissingPackage
from tensordyno.models.quantized_graph import is_quantized
from tensordyno.plan.gpu_refusal import gpu_refusal
from tensordyno.plan.host import Host
from tensordyno.records.trial import Trial
from tensordyno.scenarios.base import SCENARIOS
from tensordyno.vocabulary import Precision, Task

_COLLECTIONS = ("torchvision", "timm")


def refusal(trial: Trial, host: Host) -> str | None:
    """Why this trial is planned away, as a reader sees it; None when it may work.

    What shows only when the engine runs (a CPU without bfloat16 instructions) is the worker's to find.
    """
    engine = engine_class(trial.engine.name)
    return (
        _task(trial)
        or engine.refusal(device_kind(trial.device), trial.precision)
        or _packages(trial, engine, host)
        or _model(trial, engine, host)
        or _ranks(trial, host)
        or gpu_refusal(trial, engine, host)
        or _allocator(trial, host)
        or _clock(trial)
    )


def _task(trial: Trial) -> str | None:
    if trial.task is Task.ACCURACY and trial.devices > 1:
        return "right answers are counted on one device: leave out gpus"
    if trial.task is Task.ACCURACY or trial.task in SCENARIOS.names():  # right answers need no scenario
        return None
    return f"this version of Tensordyno has no {trial.task}"


def _packages(trial: Trial, engine: type[Engine], host: Host) -> str | None:
    if trial.engine.python is not None:  # that interpreter has packages of its own; its receipt tells
        return None
    return _missing(engine.packages, engine.extra, host) if engine.packages else None


def _missing(packages: tuple[str, ...], extra: str, host: Host) -> str | None:
    for package in packages:
        if not host.has_package(package):
            wanting = MissingPackage(package, extra)
            return f"{wanting.sentence} {wanting.remedy}"
    return None


def _model(trial: Trial, engine: type[Engine], host: Host) -> str | None:
    """Networks are built and exported by this interpreter, so those that are no ONNX file need torch."""
    if trial.model.lower().endswith(".onnx"):
        return _onnx_file(trial, engine)
    return _missing(("torch",), "torch", host) or _collection(trial.model, host)


def _onnx_file(trial: Trial, engine: type[Engine]) -> str | None:
    """INT8 reaches every engine as a Q/DQ file."""
    int8 = trial.precision is Precision.INT8
    if not int8 and is_quantized(Path(trial.model)):
        return f"{trial.model} is a Q/DQ network and can only run in int8 [already-quantized]"
    if not int8 and engine.reads == "module":
        return f"{engine.name} runs PyTorch networks, and {trial.model} is an ONNX file"
    return None


def _collection(model: str, host: Host) -> str | None:
    """Why `timm:NAME` cannot be had; every other name needs no package besides torch."""
    package, colon, _ = model.partition(":")
    if colon and package in _COLLECTIONS:
        return _missing((package,), package, host)
    return None


def _ranks(trial: Trial, host: Host) -> str | None:
    """A launcher decides how many processes there are."""
    if host.ranks is None or trial.devices <= host.ranks:
        return None
    return f"{trial.devices} devices need as many ranks, and this launch has {host.ranks}"


def _allocator(trial: Trial, host: Host) -> str | None:
    if trial.allocator == "keep" and not host.has_glibc():
        return "the allocator setting 'keep' is one of glibc, and this system has another C library"
    return None


def _clock(trial: Trial) -> str | None:
    if trial.measurement.clock == "fake" and trial.engine.name != "null":
        return "only the null engine runs on the fake clock"
    if trial.measurement.clock == "fake" and not _takes_time(trial):
        return "a batch that costs nothing never ends on the fake clock: set cost_s or per_image_s"
    return None


def _takes_time(trial: Trial) -> bool:
    options = trial.engine.options
    return bool(options.get("cost_s", True) or options.get("per_image_s")) and not options.get("work")
