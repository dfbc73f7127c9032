"""Chooses a kernel for every operation: from what is kept, or by trying all candidates on the device."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tensordyno.errors import Unsupported
from tensordyno.forge.candidates import candidate_of, candidates, is_candidate
from tensordyno.forge.choices import ChoiceCache, Chosen, key_of
from tensordyno.forge.compile_ahead import compile_all
from tensordyno.forge.devices import Device
from tensordyno.forge.graph import Fused
from tensordyno.forge.in_parts import InParts
from tensordyno.forge.parts import between_bytes, parts_of
from tensordyno.forge.program import Operation, Program
from tensordyno.forge.trials import Trial, TrialGround
from tensordyno.forge.weights import Weights

_LOG = logging.getLogger(__name__)

Progress = Callable[[str, int, int], None]  # "compile" or "time", how much of it is done, of how much


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What was chosen for operations that look alike, and how it came about."""

    nodes: tuple[str, ...]  # names of the operations
    batch_size: int
    chosen: Chosen
    kept: bool = False  # from an earlier selection: nothing was tried
    times_us: Mapping[str, float] = field(default_factory=dict)  # by candidate
    failures: Mapping[str, str] = field(default_factory=dict)  # by candidate: why it was not timed


@dataclass(frozen=True, kw_only=True)
class Selected:
    """The choices of all operations, in order, for each batch size."""

    choices: Mapping[int, tuple[Chosen, ...]]
    selections: tuple[Selection, ...]


def silent(what: str, done: int, total: int) -> None:
    """A progress that nobody reads."""
    del what, done, total


def select(
    program: Program,
    batch_sizes: Sequence[int],
    device: Device,
    weights: Weights,
    cache: Path | None = None,
    on_progress: Progress = silent,
) -> Selected:
    """Choose for all batch sizes at once. Operations that look alike are tried once.

    A fused operation is tried against its parts, which are chosen first. On a CPU nothing is timed: the first
    candidate is taken. Failures of candidates are logged.
    Raises Unsupported where an operation has no kernel, before anything is compiled, or where none of its
    candidates works. Afterwards `weights` holds what the chosen kernels want, and nothing else.
    """
    kept = ChoiceCache(cache, device.name) if cache is not None and device.is_gpu else None
    alike: dict[str, _Alike] = {}
    for size in batch_sizes:
        for operation in program.operations:
            _add(operation, size, alike, device, kept)
    unknown = [each for each in alike.values() if each.chosen is None]
    if device.is_gpu:
        sizes_bytes = dict(program.storages)
        for operation in program.operations:
            sizes_bytes |= between_bytes(operation)
        ground = TrialGround(sizes_bytes, device, weights)
        _compile([each.trial for each in unknown], ground, device, on_progress)
        for done, each in enumerate(unknown, 1):
            each.add_parts(alike)
            ground.run(each.trial)
            each.chosen = _best(each, kept)
            on_progress("time", done, len(unknown))
    selections = {key: _selection(each) for key, each in alike.items()}
    choices = {
        size: tuple(selections[key_of(operation, size)].chosen for operation in program.operations)
        for size in batch_sizes
    }
    weights.keep_only(
        used
        for of_size in choices.values()
        for operation, chosen in zip(program.operations, of_size, strict=True)
        for used in candidate_of(chosen).used(operation)
    )
    return Selected(choices=choices, selections=tuple(selections.values()))


@dataclass
class _Alike:
    """Operations that look alike, and what is to become of them."""

    trial: Trial  # of the first one
    chosen: Chosen | None  # at first what was kept
    nodes: list[str] = field(default_factory=list)  # their names
    parts: tuple[str, ...] = ()  # the keys of those that a fused one is tried against

    def add_parts(self, alike: "Mapping[str, _Alike]") -> None:
        """Let the parts, which have been chosen by now, take part in the trial."""
        parts = []
        for key in self.parts:
            chosen = alike[key].chosen
            assert chosen is not None, "parts are tried before what they make up"
            parts.append(candidate_of(chosen))
        if parts:
            self.trial.candidates = (*self.trial.candidates, InParts(tuple(parts)))


def _add(
    operation: Operation, size: int, alike: dict[str, _Alike], device: Device, cache: ChoiceCache | None
) -> None:
    """Add an operation, and before it the parts that it is to be tried against."""
    key = key_of(operation, size)
    if key not in alike:
        found = candidates(operation, size, device.target)
        chosen = None if cache is None else cache.get(operation, size)
        if chosen is not None and not is_candidate(chosen, operation, size, device.target):
            chosen = None
        parts: tuple[str, ...] = ()
        if isinstance(operation.node, Fused) and device.is_gpu and chosen is None:
            found, parts = found[:-1], tuple(key_of(part, size) for part in parts_of(operation))
            for part in parts_of(operation):
                _add(part, size, alike, device, cache)
        alike[key] = _Alike(Trial(operation, size, found), chosen, parts=parts)
    alike[key].nodes.append(operation.node.name)


def _compile(trials: Sequence[Trial], ground: TrialGround, device: Device, on_progress: Progress) -> None:
    """Compile what all candidates need; those that cannot be compiled fail."""
    jobs = [ground.jobs(trial) for trial in trials]
    failures = compile_all(
        [job for wanted in jobs for packed in wanted.values() for job in packed],
        device.target,
        lambda done, total: on_progress("compile", done, total),
    )
    for trial, wanted in zip(trials, jobs, strict=True):
        for candidate, packed in wanted.items():
            reasons = [failures[job] for job in packed if job in failures]
            if reasons:
                trial.failures[candidate] = reasons[0]


def _best(alike: _Alike, cache: ChoiceCache | None) -> Chosen:
    """The fastest candidate of a finished trial, kept for later."""
    trial, name = alike.trial, alike.nodes[0]
    for candidate, reason in trial.failures.items():
        _LOG.warning("%s in batches of %d: %s: %s", name, trial.batch_size, candidate, reason)
    if trial.best is None:
        reason = next(iter(trial.failures.values()))
        raise Unsupported(f"None of forge's kernels for {name} works on this device: {reason}.")
    chosen = trial.best.chosen(trial.times_us[trial.best])
    if cache is not None:
        cache.put(trial.operation, trial.batch_size, chosen)
    return chosen


def _selection(alike: _Alike) -> Selection:
    """The record of a choice; the first candidate where there was none to make."""
    trial, chosen = alike.trial, alike.chosen
    return Selection(
        nodes=tuple(alike.nodes),
        batch_size=trial.batch_size,
        chosen=trial.candidates[0].chosen() if chosen is None else chosen,
        kept=chosen is not None and not trial.times_us,
        times_us={str(each): us for each, us in trial.times_us.items()},
        failures={str(each): reason for each, reason in trial.failures.items()},
    )
