"""What differed between runs besides the thing that was changed on purpose."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import msgspec

from tensordyno.records.base import Record
from tensordyno.records.calibration import CalibrationFacts
from tensordyno.records.machine import MachineFacts
from tensordyno.store.reader import Run

_CLOSE = {"memory_bytes": 0.01, "spin_rate": 0.05}  # relative; smaller differences are no difference
_ABSENT = "-"
_OF_ONE_DEVICE = frozenset({"UUID", "PCI address", "NUMA node", "CPUs nearby"})  # of no two alike
# What moves throughput most, by a part of its name, in the order that a reader wants it.
_WEIGHTY = ("gpu name", "gpus", "driver", "cpu", "version", "package ", "tensordyno", "power limit")


class Difference(Record, frozen=True, kw_only=True):
    """One fact with its two values, as text."""

    what: str
    old: str
    new: str


class Contrast(Record, frozen=True, kw_only=True):
    """One fact with its value in each of several runs, as text; `weighty` facts move throughput most."""

    what: str
    values: tuple[str, ...]
    weighty: bool


def contrasts(runs: Sequence[Run]) -> tuple[Contrast, ...]:
    """Facts in which runs differ: GPU, driver, CPU, versions, power limit first, then the rest as found."""
    facts = [_facts(run) for run in runs]
    names = dict.fromkeys(name for found in facts for name in found)
    rows = [(name, [found.get(name) for found in facts]) for name in names]
    groups = [{_group(name) for name in found} for found in facts]
    unlike = [(name, values) for name, values in rows if _differ(name, values, groups)]
    ordered = sorted(unlike, key=lambda row: _weight(row[0]))
    return tuple(
        Contrast(what=name, values=tuple(map(_text, values)), weighty=_weight(name) < len(_WEIGHTY))
        for name, values in ordered
    )


def _differ(name: str, values: Sequence[Any], groups: Sequence[Collection[str]]) -> bool:
    """Whether runs differ in a fact; one about an engine or a GPU only among those that have such a thing."""
    known = [v for v, found in zip(values, groups, strict=True) if _group(name) in found]
    return any(not _same(name, known[0], other) for other in known[1:])


def _group(name: str) -> str:
    """What a fact is about, if that need not be in every run: an engine, or a GPU beyond its name."""
    if name.startswith("GPU ") and name != "GPU name":
        return "GPU"
    return name.partition(": ")[0] if ": " in name else ""


def _weight(name: str) -> int:
    lowered = name.lower()
    if ": " in name and not lowered.endswith(": version"):
        return len(_WEIGHTY)  # of an engine only its version
    return next((place for place, part in enumerate(_WEIGHTY) if part in lowered), len(_WEIGHTY))


def differences(old: Run, new: Run) -> tuple[Difference, ...]:
    """Facts of machine, engines, processes and calibrations in which two runs differ, machine first."""
    before, after = _facts(old), _facts(new)
    names = [*before, *(name for name in after if name not in before)]
    pairs = ((name, before.get(name), after.get(name)) for name in names)
    return tuple(
        Difference(what=name, old=_text(a), new=_text(b)) for name, a, b in pairs if not _same(name, a, b)
    )


def _facts(run: Run) -> dict[str, Any]:
    facts = _machine(run.header.machine)
    facts["tensordyno"] = run.header.version
    for name, value in _devices(run):
        _add(facts, name, value)
    for outcome in run.outcomes:
        label = outcome.trial.engine.label
        if receipt := outcome.receipt:
            _add(facts, f"{label}: version", receipt.version)
            _add(facts, f"{label}: device", receipt.device)
            _add(facts, f"{label}: provider", receipt.provider)
            for library, version in receipt.libraries.items():
                _add(facts, f"{label}: {library}", version)
        if process := outcome.process:
            _add(facts, f"{label}: threads", process.threads)
            _add(facts, f"{label}: CPUs", len(process.affinity))
            _add(facts, f"{label}: allocator", process.allocator)
            for variable, value in (process.malloc_settings | process.environment).items():
                _add(facts, f"{label}: {variable}", value)
        if calibration := outcome.calibration:
            for what, text in _calibration(calibration).items():
                _add(facts, f"{outcome.trial.model}: {what}", text)
        if (built := outcome.built) and built.arithmetic and calibration:
            layers = ", ".join(f"{count} {name}" for name, count in sorted(built.arithmetic.items()))
            _add(facts, f"{label}: layers of {outcome.trial.model}", layers)
    return facts


def _devices(run: Run) -> Iterator[tuple[str, str]]:
    """What drivers tell of GPUs, as their page has it or else as telemetry saw it."""
    names = {"name": "GPU name", "driver_version": "GPU Driver"}
    for device in run.devices:
        yield from ((names[key], value) for key, value in device.labels.items() if key in names)
    for page in run.pages:
        if page.device.startswith("gpu"):
            yield "GPU name", page.name
            told = ((k, v) for k, v in page.features.items() if k not in _OF_ONE_DEVICE)
            yield from ((f"GPU {key}", value) for key, value in told)


def _calibration(facts: CalibrationFacts) -> dict[str, str]:
    return {
        "calibration method": facts.method,
        "calibration images": f"{facts.images} of {facts.data} ({facts.data_hash}), seed {facts.seed}",
        "layers kept in FP32": ", ".join(layer.name for layer in facts.fp32_layers),
    }


def _machine(machine: MachineFacts) -> dict[str, Any]:
    facts: dict[str, Any] = dict(msgspec.structs.asdict(machine))
    packages = facts.pop("packages")
    return facts | {f"package {name}": version for name, version in packages.items()}


def _add(facts: dict[str, Any], name: str, value: object) -> None:
    """Trials of one engine may differ within a run: then all values are listed."""
    known = facts.get(name)
    text = _text(value)
    if known is None:
        facts[name] = text
    elif text not in known.split(" | "):
        facts[name] = " | ".join(sorted([*known.split(" | "), text]))


def _same(name: str, old: Any, new: Any) -> bool:
    if name in _CLOSE and old and new:
        return bool(abs(new / old - 1) <= _CLOSE[name])
    return bool(_text(old) == _text(new))


def _text(value: object) -> str:
    if value is None or value == "":
        return _ABSENT
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or _ABSENT
    return str(value)
