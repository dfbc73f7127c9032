"""Names for trials: readable, unique within a plan, and fit to be file names."""

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import PurePath

import msgspec

from tensordyno.records.calibration import Calibration
from tensordyno.records.trial import Trial
from tensordyno.spec.preprocessing_text import preprocessing_text
from tensordyno.vocabulary import Task

_LONGEST = 120  # characters; file systems allow 255 bytes, suffixes included


def with_ids(trials: Iterable[Trial]) -> tuple[Trial, ...]:
    """The trials in order, duplicates removed, each with its id.

    An id is model-engine-precision-b<batch>-boundary. Trials that share one also carry the task, engine
    options, interpreter, allocator, device, threads, dataset, weights, preprocessing or calibration
    (images, method, seed, data, what stays in FP32) in which they differ, and a short hash if even that
    leaves them equal.
    """
    distinct: dict[bytes, Trial] = {}
    for trial in trials:
        distinct.setdefault(_content(trial), trial)
    namesakes: dict[str, list[Trial]] = defaultdict(list)
    for trial in distinct.values():
        namesakes[_stem(trial)].append(trial)
    names = unique([_name(t, namesakes[_stem(t)]) for t in distinct.values()], list(distinct))
    return tuple(msgspec.structs.replace(t, id=n) for t, n in zip(distinct.values(), names, strict=True))


def file_safe(text: str) -> str:
    """`text` as a file name: letters, digits and . _ = - kept, not hidden, not too long."""
    return re.sub(r"[^A-Za-z0-9._=-]+", "_", text)[:_LONGEST].strip("._-") or "_"


def unique(names: Sequence[str], contents: Sequence[bytes]) -> list[str]:
    """The names, with a hash of their contents behind those that are not the only one of their kind.

    `contents` differ from each other.
    """
    count, found = Counter(names), list(names)
    for digits in (6, 16, 64):
        if len(set(found)) == len(found):
            break
        hashes = [hashlib.sha256(content).hexdigest()[:digits] for content in contents]
        found = [n if count[n] == 1 else f"{n}-{h}" for n, h in zip(names, hashes, strict=True)]
    return found


def model_text(model: str) -> str:
    """The short name of a network: its file's stem, or its name with the prefix kept."""
    return PurePath(model).stem if model.lower().endswith(".onnx") else model.replace(":", ".")


def _content(trial: Trial) -> bytes:
    return msgspec.json.encode(msgspec.structs.replace(trial, id="", group=""))


def _stem(trial: Trial) -> str:
    parts = (
        model_text(trial.model),
        trial.engine.name,
        trial.precision,
        f"b{trial.batch_size}",
        trial.boundary,
    )
    return file_safe("-".join(parts))


def _options(trial: Trial) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted(trial.engine.options.items()))


def _of_calibration(part: Callable[[Calibration], str]) -> Callable[[Trial], str]:
    return lambda trial: "" if trial.calibration is None else part(trial.calibration)


def _kept(calibration: Calibration) -> str:
    """What stays in FP32: 'keep3', 'keepauto0.01-first'."""
    keep = calibration.keep_fp32
    parts = [f"keepauto{calibration.max_drop:g}" if keep == "auto" else f"keep{keep}" if keep else ""]
    parts += ["" if calibration.first_layer else "first", "" if calibration.last_layer else "last"]
    return "-".join(filter(None, parts))


_TELLING: tuple[Callable[[Trial], str], ...] = (
    lambda t: "" if t.task is Task.INFERENCE else t.task.value,
    _options,
    lambda t: PurePath(t.engine.python).parent.parent.name if t.engine.python else "",
    lambda t: "" if t.allocator == "default" else t.allocator,
    lambda t: t.device.replace(":", ""),
    lambda t: f"x{t.devices}",
    lambda t: "" if t.threads is None else f"t{t.threads}",
    lambda t: PurePath(t.dataset).stem,
    lambda t: PurePath(t.weights).stem if t.weights else "",
    lambda t: "held-out" if t.hold_out else "",
    lambda t: preprocessing_text(t.preprocessing.wanted()) if t.preprocessing else "",
    _of_calibration(lambda c: f"{c.batches}x{c.batch_size}"),
    _of_calibration(lambda c: c.method),
    _of_calibration(lambda c: f"s{c.seed}"),
    _of_calibration(lambda c: PurePath(c.data).stem if c.data else ""),
    _of_calibration(_kept),
)


def _name(trial: Trial, namesakes: list[Trial]) -> str:
    tell = [part for part in _TELLING if len({part(other) for other in namesakes}) > 1]
    return file_safe("-".join([_stem(trial), *(part(trial) for part in tell if part(trial))]))
