"""What differed between two runs besides the thing that was changed on purpose."""

from typing import Any

import msgspec

from tensordyno.records.base import Record
from tensordyno.records.calibration import CalibrationFacts
from tensordyno.records.machine import MachineFacts
from tensordyno.store.reader import Run

_CLOSE = {"memory_bytes": 0.01, "spin_rate": 0.05}  # relative; smaller differences are no difference
_ABSENT = "-"


class Difference(Record, frozen=True, kw_only=True):
    """One fact with its two values, as text."""

    what: str
    old: str
    new: str


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
