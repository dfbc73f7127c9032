"""Chooses a kernel for every operation: from what is kept, or by trying all candidates on the device."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tensordyno.errors import Unsupported
from tensordyno.forge.candidates import candidate_of, candidates
from tensordyno.forge.choices import ChoiceCache, Chosen, key_of
from tensordyno.forge.compile_ahead import compile_all
from tensordyno.forge.devices import Device
from tensordyno.forge.program import Program
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

    On a CPU nothing is timed: the first candidate is taken. Failures of candidates are logged.
    Raises Unsupported where an operation has no kernel, before anything is compiled, or where none of its
    candidates works. Afterwards `weights` holds what the chosen kernels want, and nothing else.
    """
    names, trials = _trials(program, batch_sizes, device)
    kept = ChoiceCache(cache, device.name) if cache is not None and device.is_gpu else None
    found = {key: _kept(trial, kept) for key, trial in trials.items()}
    unknown = [key for key in trials if found[key] is None]
    if device.is_gpu:
        ground = TrialGround(program.storages, device, weights)
        _compile([trials[key] for key in unknown], ground, device, on_progress)
        for done, key in enumerate(unknown, 1):
            ground.run(trials[key])
            found[key] = _best(trials[key], names[key], kept)
            on_progress("time", done, len(unknown))
    selections = {key: _selection(names[key], trial, found[key]) for key, trial in trials.items()}
    choices = {
        size: tuple(selections[key_of(operation, size)].chosen for operation in program.operations)
        for size in batch_sizes
    }
    weights.keep_only(
        (candidate_of(chosen).kernel, operation)
        for of_size in choices.values()
        for operation, chosen in zip(program.operations, of_size, strict=True)
    )
    return Selected(choices=choices, selections=tuple(selections.values()))


def _trials(
    program: Program, batch_sizes: Sequence[int], device: Device
) -> tuple[dict[str, tuple[str, ...]], dict[str, Trial]]:
    """One trial for all operations that look alike, and their names."""
    names: dict[str, tuple[str, ...]] = {}
    trials: dict[str, Trial] = {}
    for size in batch_sizes:
        for operation in program.operations:
            key = key_of(operation, size)
            names[key] = (*names.get(key, ()), operation.node.name)
            if key not in trials:
                trials[key] = Trial(operation, size, candidates(operation, size, device.target))
    return names, trials


def _kept(trial: Trial, cache: ChoiceCache | None) -> Chosen | None:
    """An earlier choice, if it is one of the candidates still."""
    chosen = None if cache is None else cache.get(trial.operation, trial.batch_size)
    if chosen is None or (chosen.kernel, chosen.choice) not in {
        (each.kernel.name, each.choice) for each in trial.candidates
    }:
        return None
    return chosen


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


def _best(trial: Trial, names: tuple[str, ...], cache: ChoiceCache | None) -> Chosen:
    """The fastest candidate of a finished trial, kept for later."""
    for candidate, reason in trial.failures.items():
        _LOG.warning("%s in batches of %d: %s: %s", names[0], trial.batch_size, candidate, reason)
    if trial.best is None:
        reason = next(iter(trial.failures.values()))
        raise Unsupported(f"None of forge's kernels for {names[0]} works on this device: {reason}.")
    chosen = trial.best.chosen(trial.times_us[trial.best])
    if cache is not None:
        cache.put(trial.operation, trial.batch_size, chosen)
    return chosen


def _selection(names: tuple[str, ...], trial: Trial, chosen: Chosen | None) -> Selection:
    """The record of a choice; the first candidate where there was none to make."""
    return Selection(
        nodes=names,
        batch_size=trial.batch_size,
        chosen=trial.candidates[0].chosen() if chosen is None else chosen,
        kept=chosen is not None and not trial.times_us,
        times_us={str(each): us for each, us in trial.times_us.items()},
        failures={str(each): reason for each, reason in trial.failures.items()},
    )
