"""Which trials are interleaved, and in which order they are taken."""

import itertools
import math
from collections.abc import Iterable

import msgspec

from tensordyno.plan.identity import file_safe, model_text, unique
from tensordyno.records.trial import Trial
from tensordyno.vocabulary import Task


def into_groups(trials: Iterable[Trial], max_alive: int, *, interleave: bool = True) -> tuple[Trial, ...]:
    """The trials with their group, the members of each group side by side.

    A group is what is compared: same task, network, weights, data, batch size, boundary and device;
    its workers are alive together and measure in turns. More than `max_alive` of them are split into
    chunks as equal as can be, in order. Without `interleave`, and where nothing is timed, each trial is
    a group of its own.
    """
    found: dict[tuple[object, ...], list[Trial]] = {}
    for trial in trials:
        found.setdefault(_compared(trial), []).append(trial)
    named = [
        pair
        for members in found.values()
        for pair in _named_chunks(members, max_alive if interleave and _is_timed(members[0]) else 1)
    ]
    names = unique([name for name, _ in named], [chunk[0].id.encode() for _, chunk in named])
    return tuple(
        msgspec.structs.replace(trial, group=name)
        for name, (_, chunk) in zip(names, named, strict=True)
        for trial in chunk
    )


def _is_timed(trial: Trial) -> bool:
    return trial.task is not Task.ACCURACY


def _compared(trial: Trial) -> tuple[object, ...]:
    return (
        trial.task,
        trial.model,
        trial.weights,
        trial.dataset,
        trial.hold_out,
        trial.preprocessing,
        trial.batch_size,
        trial.boundary,
        trial.device,
        trial.devices,
        trial.nodes,
    )


def _named_chunks(members: list[Trial], most: int) -> list[tuple[str, list[Trial]]]:
    """At most `most` members each: 'resnet50-b8-host', or '...-1', '...-2' when there are several."""
    count = math.ceil(len(members) / most)
    cuts = [len(members) * i // count for i in range(count + 1)]
    chunks = [members[a:b] for a, b in itertools.pairwise(cuts)]
    name = _group_name(members[0])
    return [(f"{name}-{i}" if count > 1 else name, chunk) for i, chunk in enumerate(chunks, start=1)]


def _group_name(trial: Trial) -> str:
    device = "" if trial.device == "cpu" else f"-{trial.device.replace(':', '')}"
    count = f"-x{trial.devices}" if trial.devices > 1 else ""
    return file_safe(f"{model_text(trial.model)}-b{trial.batch_size}-{trial.boundary}{device}{count}")
