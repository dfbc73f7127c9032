"""The environment: machine, engines with their receipts, and the conditions workers ran under."""

from collections.abc import Iterable
from dataclasses import dataclass

from tensordyno.analysis.where import tallied
from tensordyno.records.machine import MachineFacts
from tensordyno.records.outcome import Outcome
from tensordyno.store.reader import Run
from tensordyno.units import bytes_text, ranges_text


@dataclass(frozen=True)
class Group:
    """Facts under one heading, as (name, value) pairs of text."""

    heading: str
    facts: tuple[tuple[str, str], ...]


def conditions(run: Run) -> tuple[Group, ...]:
    """Machine first, then one group an engine, then the sensors."""
    engines: dict[str, list[Outcome]] = {}
    for outcome in run.outcomes:
        if outcome.receipt:
            engines.setdefault(outcome.trial.engine.label, []).append(outcome)
    groups = [Group("Machine", _machine(run.header.machine))]
    groups += [Group(label, _engine(outcomes)) for label, outcomes in sorted(engines.items())]
    groups.append(Group("Sensors", _sensors(run)))
    return tuple(groups)


def machine_line(machine: MachineFacts) -> str:
    """'AMD EPYC 9V45, 2 logical CPUs, 2 × NVIDIA H200, 24.0 GiB'."""
    parts = [machine.cpu, f"{machine.cores} logical CPU{'' if machine.cores == 1 else 's'}"]
    parts += tallied(machine.gpus)
    return ", ".join([*parts, *([bytes_text(machine.memory_bytes)] if machine.memory_bytes else [])])


def _machine(machine: MachineFacts) -> tuple[tuple[str, str], ...]:
    limit = machine.memory_limit_bytes
    pairs = {
        "Host": machine.hostname,
        "Processor": machine.cpu,
        "Logical CPUs": str(machine.cores),
        "CPU quota": f"{machine.cpu_quota:g} cores" if machine.cpu_quota else "",
        "Sockets": str(machine.sockets or ""),
        "Threads a core": str(machine.threads_per_core or ""),
        "Instruction sets": ", ".join(machine.instruction_sets),
        "Memory": bytes_text(machine.memory_bytes),
        "Memory limit": bytes_text(limit) if limit else "",
        "GPUs": ", ".join(tallied(machine.gpus)),
        "Operating system": machine.os,
        "Kernel": machine.kernel,
        "Virtual machine": machine.virtual or "",
        "Container": machine.container or "",
        "Frequency governor": machine.governor or "not told by the system",
        "Turbo": machine.turbo or "not told by the system",
        "Python": machine.python,
        "Packages": ", ".join(f"{name} {version}" for name, version in sorted(machine.packages.items())),
    }
    return tuple((name, value) for name, value in pairs.items() if value)


def _engine(outcomes: list[Outcome]) -> tuple[tuple[str, str], ...]:
    """Where trials of one engine differ, all values are listed."""
    found: dict[str, list[str]] = {}
    for name, value in (pair for outcome in outcomes for pair in _facts(outcome)):
        values = found.setdefault(name, [])
        if value and value not in values:
            values.append(value)
    return tuple((name, "; ".join(sorted(values))) for name, values in found.items() if values)


def _facts(outcome: Outcome) -> Iterable[tuple[str, str]]:
    if receipt := outcome.receipt:
        yield "Version", receipt.version
        yield "Device", receipt.device
        yield "Provider", receipt.provider
        yield "Threads", str(receipt.threads or "")
        yield "Build", receipt.build_flags
        yield "Libraries", _pairs(receipt.libraries)
        yield from receipt.settings.items()
    if process := outcome.process:
        if outcome.receipt is None or outcome.receipt.threads != process.threads:
            yield "Worker threads", str(process.threads)
        yield "Affinity", f"CPUs {ranges_text(sorted(process.affinity))}"
        yield "Allocator", process.allocator
        yield "Malloc settings", _pairs(process.malloc_settings)
        yield from (("Environment", f"{name}={value}") for name, value in process.environment.items())
    if outcome.built and outcome.built.choices:
        yield "Chosen by measuring", ", ".join(name for name in sorted(outcome.built.choices))


def _pairs(table: dict[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in sorted(table.items()))


def _sensors(run: Run) -> tuple[tuple[str, str], ...]:
    pairs = [("Read", ", ".join(sorted({s.channel.source for s in run.series})) or "none")]
    pairs += [(u.source, f"unavailable: {u.reason}") for u in run.unavailable]
    if sampler := run.sampler:
        pairs.append(
            (
                "Sampling",
                f"every {1e3 * sampler.interval_s:.0f} ms, {sampler.samples:,} samples, {sampler.late} late, "
                f"worst lateness {1e3 * sampler.worst_lateness_s:.0f} ms",
            )
        )
    return tuple(pairs)
