"""What `dyno doctor` tells of GPUs, and of the ceilings that it measures on any device."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.table import Table
from rich.text import Text

from tensordyno.analysis.peaks import peak_of
from tensordyno.cli.table import console
from tensordyno.records.device import DevicePage
from tensordyno.report.calibration_text import Lines
from tensordyno.report.device_text import ceilings
from tensordyno.run.device_pages import device_page
from tensordyno.telemetry.base import SensorUnavailable
from tensordyno.telemetry.gpu_features import gpu_features
from tensordyno.telemetry.gpu_state import ComputeMode, Gpus, GpuState, in_use

# name of a feature -> what stands before and behind its value; a line each
_TOLD: tuple[dict[str, tuple[str, str]], ...] = (
    {
        "Compute capability": ("compute capability ", ""),
        "Multiprocessors": ("", " multiprocessors"),
        "Largest SM clock": ("", " at most"),
        "Memory": ("", ""),
        "Memory bandwidth, theoretical": ("", " theoretical"),
    },
    {
        "Power limit": ("power limit ", ""),
        "Power limit, settable": ("settable ", ""),
        "PCIe, now": ("PCIe ", " now"),
        "NUMA node": ("NUMA node ", ""),
    },
    {
        "ECC": ("ECC ", ""),
        "MIG": ("MIG ", ""),
        "Compute mode": ("compute mode ", ""),
        "Persistence mode": ("persistence mode ", ""),
        "Driver": ("driver ", ""),
        "CUDA of the driver": ("CUDA ", ""),
    },
)


def usable(gpus: Gpus) -> list[str]:
    """The GPUs that answer, as a trial names them."""
    return [f"cuda:{state.index}" for state in gpus.states if not state.reason]


def print_gpus(gpus: Gpus) -> None:
    """Each GPU with what it is, and what stands in the way of measuring on it."""
    out = console()
    out.print("\nGPUs", style="bold")
    if gpus.reason or not gpus.states:
        out.print(f"  none: {gpus.reason or 'the NVIDIA driver shows no GPU'}", style="yellow")
    try:
        features = {gpu.device: gpu.features for gpu in gpu_features()}
    except SensorUnavailable:
        features = {}
    for state in gpus.states:
        name = f"gpu{state.index}"
        out.print(Text(f"  {name:15}", style="green").append(state.name))
        for line in _lines(features.get(name, {})):
            out.print(f"  {'':15}{line}", style="dim")
        for obstacle in _obstacles(state):
            out.print(f"  {'':15}{obstacle}", style="yellow")


def print_ceilings(devices: Sequence[str]) -> None:
    """Published peaks against what plain library calls reach, one device of each name."""
    out = console()
    measured: set[str] = set()
    with TemporaryDirectory(prefix="dyno-doctor-") as folder:
        for device in devices:
            page = device_page(device, Path(folder), lambda name: name not in measured)
            if page.name not in measured:
                _print_page(page)
            measured.add(page.name)
    out.print("Plain library calls on random numbers, at the clocks of this moment.", style="dim")


def _print_page(page: DevicePage) -> None:
    out = console()
    out.print(Text(f"\n{page.device}", style="bold").append(f": {page.name}", style="not bold"))
    if page.reason:
        out.print(f"  not measured: {page.reason}", style="yellow")
    peak = peak_of(page.name)
    lines = ceilings(page, peak)
    if lines:
        out.print(_table(lines))
    if peak:
        out.print(f"Published: {peak.source}.", style="dim")


def _table(lines: Lines) -> Table:
    table = Table(box=None)
    for i, heading in enumerate(lines.headings):
        table.add_column(heading.lower(), justify="left" if i in (0, len(lines.headings) - 1) else "right")
    for row in lines.rows:
        table.add_row(*row)
    return table


def _lines(features: dict[str, str]) -> Iterator[str]:
    for told in _TOLD:
        parts = [f"{a}{features[name]}{b}" for name, (a, b) in told.items() if name in features]
        if parts:
            yield ", ".join(parts)


def _obstacles(state: GpuState) -> Iterator[str]:
    if state.reason:
        yield f"cannot be used: {state.reason}"
    if state.mig:
        remedy = f"nvidia-smi -i {state.index} -mig 0"
        yield f"cut into {state.mig_instances} MIG slices; only whole GPUs are measured: {remedy}"
    if state.compute_mode is not ComputeMode.DEFAULT:
        yield f"compute mode {state.compute_mode}; to share it again: nvidia-smi -i {state.index} -c DEFAULT"
    if busy := in_use(state):
        yield busy
