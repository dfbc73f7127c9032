"""Which of telemetry's GPUs a trial ran on: CUDA's numbers are not always NVML's.

CUDA counts the GPUs that CUDA_VISIBLE_DEVICES shows, the fastest first unless CUDA_DEVICE_ORDER says
PCI_BUS_ID (CUDA C++ Programming Guide, "CUDA Environment Variables"); NVML counts all of them by PCI address.
"""

from collections.abc import Iterable, Mapping

from tensordyno.device import device_index
from tensordyno.records.outcome import Outcome
from tensordyno.records.reading import DeviceFacts

Labels = Mapping[str, Mapping[str, str]]  # gpu0 -> name, uuid, ...


def gpu_labels(devices: Iterable[DeviceFacts]) -> dict[str, dict[str, str]]:
    """What telemetry says of each GPU, by its name there (gpu0)."""
    return {d.device: d.labels for d in devices if d.device.startswith("gpu")}


def gpus_of(outcome: Outcome, labels: Labels) -> tuple[tuple[str, ...], str]:
    """Telemetry's names of a trial's GPUs in rank order; or none, and the reason.

    A number is trusted where all GPUs are of one kind, or nothing is known of them.
    """
    trial = outcome.trial
    if trial.nodes > 1:
        return (), "the GPUs of other nodes are not watched"
    if any(" MIG " in f"{name} " for name in _own_names(outcome)):
        return (), "the trial ran on a slice of a GPU (MIG), sensors tell of the whole GPU"
    first = device_index(trial.device)
    environment = outcome.process.environment if outcome.process else {}
    names: list[str] = []
    for number in range(first, first + trial.devices):
        entry = _entry(environment, number)
        name = _by_uuid(entry, labels) if entry.startswith("GPU-") else _by_number(entry, environment, labels)
        if not name:
            return (), _reason(number, entry, environment)
        names.append(name)
    return tuple(names), ""


def _own_names(outcome: Outcome) -> list[str]:
    return [rank.name for rank in outcome.ranks] + ([outcome.receipt.device] if outcome.receipt else [])


def _entry(environment: Mapping[str, str], number: int) -> str:
    """What CUDA_VISIBLE_DEVICES says of this number of CUDA's; the number itself where it is not set."""
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return str(number)
    entries = [entry.strip() for entry in visible.split(",")]
    return entries[number] if number < len(entries) else ""


def _by_uuid(entry: str, labels: Labels) -> str:
    """A UUID may be cut short as long as it is the only one."""
    found = [gpu for gpu, label in labels.items() if label.get("uuid", "").startswith(entry)]
    return found[0] if len(found) == 1 else ""


def _by_number(entry: str, environment: Mapping[str, str], labels: Labels) -> str:
    kinds = {label.get("name", "") for label in labels.values()}
    is_ordered = len(kinds) <= 1 or environment.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID"
    return f"gpu{int(entry)}" if is_ordered and entry.isascii() and entry.isdecimal() else ""


def _reason(number: int, entry: str, environment: Mapping[str, str]) -> str:
    if entry.isdecimal():
        return (
            f"CUDA's number of cuda:{number} need not be NVML's where GPUs differ "
            "(set CUDA_DEVICE_ORDER=PCI_BUS_ID)"
        )
    visible = environment.get("CUDA_VISIBLE_DEVICES", "")
    return f"CUDA_VISIBLE_DEVICES={visible} does not say which GPU cuda:{number} is"
