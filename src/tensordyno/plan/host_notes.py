"""What a reader should know of the GPUs before a run that may take place all the same."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

from tensordyno.engines.base import engine_class
from tensordyno.plan.gpu_refusal import gpus_of
from tensordyno.plan.host import Host
from tensordyno.records.trial import Trial
from tensordyno.telemetry.gpu_state import ComputeMode, GpuState, in_use


def notes(trials: Iterable[Trial], host: Host) -> tuple[str, ...]:
    """One line each, for the GPUs that these planned trials run on; nothing is asked where none does."""
    groups: dict[int, Counter[str]] = defaultdict(Counter)  # GPU -> group -> how many of its trials run there
    for trial in trials:
        if trial.device.startswith("cuda") and not engine_class(trial.engine.name).simulates:
            for state in gpus_of(trial, host).values():
                groups[state.index][trial.group or trial.id] += 1
    used = [state for state in host.gpus().states if state.index in groups] if groups else []
    return tuple(note for state in used for note in _of(state, groups[state.index]))


def _of(state: GpuState, groups: Counter[str]) -> Iterator[str]:
    if busy := in_use(state):
        yield f"{busy}: both will be slower, and its energy is shared."
    if state.compute_mode is ComputeMode.EXCLUSIVE and max(groups.values()) > 1:
        yield (
            f"gpu{state.index} lets one process compute at a time ({state.compute_mode}), and builds that "
            "are compared stand ready together: type --set interleave=false"
        )
