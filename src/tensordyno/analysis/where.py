"""What trials ran on, by the devices' own names: '2 × NVIDIA H200'."""

from collections import Counter
from collections.abc import Iterable, Sequence

from tensordyno.analysis.scores import Score
from tensordyno.device import device_index, device_kind
from tensordyno.records.machine import MachineFacts
from tensordyno.records.outcome import Outcome
from tensordyno.vocabulary import Verdict


def ran_on(machine: MachineFacts, scores: Sequence[Score]) -> tuple[str, ...]:
    """The devices of the trials, each kind once with its number; the machine's processor without trials."""
    tried = [s for s in scores if s.verdict is not Verdict.SKIPPED] or list(scores)
    found: dict[str, set[tuple[str, int]]] = {}
    for score in tried:
        found.setdefault(device_name(machine, score), set()).update(_places(score))
    return tuple(times(name, len(places)) for name, places in found.items()) or (machine.cpu,)


def device_name(machine: MachineFacts, score: Score) -> str:
    """What a trial's device calls itself, also where the trial never came so far as to ask it."""
    if score.device_name:
        return score.device_name
    if score.device == "cpu":
        return machine.cpu
    number = device_index(score.device) if device_kind(score.device) == "cuda" else len(machine.gpus)
    return machine.gpus[number] if number < len(machine.gpus) else score.device


def times(name: str, count: int) -> str:
    """'2 × NVIDIA H200', or the name alone."""
    return f"{count} × {name}" if count > 1 else name


def devices_used(outcomes: Iterable[Outcome]) -> tuple[str, ...]:
    """The devices that engines named, each kind once with the most that one trial had; of a stored run.

    Needs no scores, so that many runs can be listed.
    """
    most: dict[str, int] = {}
    for outcome in outcomes:
        if outcome.receipt and outcome.receipt.device:
            count = outcome.trial.devices if outcome.trial.device != "cpu" else 1
            name = outcome.receipt.device
            most[name] = max(count, most.get(name, 0))
    return tuple(times(name, count) for name, count in most.items())


def tallied(names: Iterable[str]) -> tuple[str, ...]:
    """Each name once, with its number: ('2 × NVIDIA H200', 'NVIDIA T4')."""
    return tuple(times(name, count) for name, count in Counter(names).items())


def _places(score: Score) -> set[tuple[str, int]]:
    """A CPU is one device however many processes share it."""
    kind, first = device_kind(score.device), device_index(score.device)
    if kind == "cpu":
        return {(kind, node) for node in range(score.nodes)}
    return {(kind, first + i) for i in range(score.devices)}
