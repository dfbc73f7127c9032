"""The pages of `dyno doctor`: machine, GPUs, engines, sensors, and the self-test."""

from rich.table import Table
from rich.text import Text

from tensordyno.analysis.selftest import Finding, require
from tensordyno.cli.doctor_gpus import print_ceilings, print_gpus, usable
from tensordyno.cli.table import console
from tensordyno.errors import EXIT_NOTHING_VALID
from tensordyno.records.machine import MachineFacts
from tensordyno.run.examine import EngineFinding, examine_engines
from tensordyno.run.selftest import run_selftest
from tensordyno.telemetry.base import SensorUnavailable, Source, open_sources
from tensordyno.telemetry.gpu_state import gpu_states
from tensordyno.telemetry.machine import machine_facts
from tensordyno.units import bytes_text, significant


def print_doctor(device: str | None, *, ceilings: bool = False) -> int:
    """Everything about this machine that decides what can be measured on it.

    The engines are asked about `device`; None: about the CPU and, where a GPU answers, about that.
    """
    out = console()
    _print_machine(machine_facts())
    gpus = gpu_states()
    print_gpus(gpus)
    working = []
    for each in [device] if device else ["cpu", *usable(gpus)[:1]]:
        out.print(
            Text(f"\nEngines on {each}", style="bold").append(
                " (each asked for its receipt)", style="not bold"
            )
        )
        working += [_print_engine(finding) for finding in examine_engines(each)]
    out.print("\nSensors", style="bold")
    for source in open_sources():
        _print_sensor(source)
    if ceilings:
        print_ceilings([device] if device else ["cpu", *usable(gpus)])
    out.print("\nIs the instrument right?  dyno doctor --selftest", style="dim")
    return 0 if any(working) else EXIT_NOTHING_VALID


def print_selftest() -> int:
    """Every finding with its error and bound; raises InstrumentError when one is out of bounds."""
    out = console()
    table = Table(box=None)
    table.add_column("what")
    for heading in ("expected", "measured", "error", "bound"):
        table.add_column(heading, justify="right")
    table.add_column("")
    findings: list[Finding] = []
    for finding in run_selftest():
        findings.append(finding)
        table.add_row(*_finding_cells(finding))
    out.print(table)
    require(findings)
    out.print(f"All {len(findings)} numbers are within their bounds.", style="green")
    return 0


def _finding_cells(finding: Finding) -> tuple[str | Text, ...]:
    return (
        finding.name,
        significant(finding.expected, 5),
        "-" if finding.measured is None else significant(finding.measured, 5),
        "-" if finding.error is None else f"{100 * finding.error:+.3f} %",
        f"{100 * finding.bound:.2g} %",
        Text("ok", style="green") if finding.passed else Text("OUT OF BOUND", style="bold red"),
    )


def _print_machine(machine: MachineFacts) -> None:
    out = console()
    unknown = "not told by the system"
    rows = {
        "CPU": f"{machine.cpu}, {machine.cores} cores allowed",
        "memory": bytes_text(machine.memory_bytes),
        "instructions": " ".join(machine.instruction_sets) or unknown,
        "governor": machine.governor or unknown,
        "turbo": machine.turbo or unknown,
        "virtual": machine.virtual or "no",
        "container": machine.container or "no",
        "system": f"{machine.os}, kernel {machine.kernel}, Python {machine.python}",
    }
    out.print("Machine", style="bold")
    for name, value in rows.items():
        out.print(f"  {name:13}{value}")


def _print_engine(finding: EngineFinding) -> bool:
    """One engine; returns whether it works in any precision."""
    out = console()
    receipt = finding.receipt
    if receipt is None:
        reason = next(iter(finding.refusals.values()), "no receipt")
        out.print(Text(f"  {finding.engine:15}does not run: {reason}", style="red"))
        return False
    provider = f", {receipt.provider}" if receipt.provider else ""
    title = f"  {finding.engine:15}{receipt.version}{provider}, {receipt.threads} threads"
    out.print(Text(title, style="green").append(f"  {' '.join(finding.works)}", style="bold"))
    for precision, reason in finding.refusals.items():
        out.print(f"  {'':15}{precision}: {reason}", style="dim")
    return finding.engine != "null"


def _print_sensor(source: Source) -> None:
    out = console()
    try:
        channels = source.open()
    except Exception as wrong:  # a broken driver is one more thing that a doctor tells
        reason = str(wrong) if isinstance(wrong, SensorUnavailable) else f"{type(wrong).__name__}: {wrong}"
        out.print(Text(f"  {source.name:15}unavailable: {reason}", style="yellow"))
        source.close()
        return
    names = ", ".join(dict.fromkeys(f"{c.name} [{c.unit}]" for c in channels))
    out.print(Text(f"  {source.name:15}", style="green").append(names or "follows worker processes"))
    for lack in source.lacking():
        out.print(f"  {'':15}unavailable: {lack}", style="yellow")
    source.close()
