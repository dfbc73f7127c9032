"""Writes run folders with INT8 in them as real runs would leave them: made runs, calibrated, with answers.

Nothing is measured: which answers INT8 changes is drawn from a seed, by how good a method is made out to be.
"""

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from unittest.mock import patch

import made_run
import msgspec
import numpy as np
from made_run import Story, make_run
from msgspec.structs import replace

from tensordyno.records.build import Accuracy
from tensordyno.records.calibration import Calibration, CalibrationFacts, LayerFacts, MethodScore
from tensordyno.records.machine import RunHeader
from tensordyno.records.outcome import Outcome
from tensordyno.records.reading import Overhead
from tensordyno.records.trial import Plan
from tensordyno.records.wire import decode_line, encode_line
from tensordyno.store.layout import RunFolder
from tensordyno.vocabulary import Precision, Task, Verdict

IMAGES = 2000
MODELS = ("resnet8_fashion", "lenet5_fashion")
SPEEDS = {"resnet8_fashion": 4200.0}
SPEEDUPS = {("onnxruntime", "int8"): 2.9, ("openvino", "int8"): 3.4}
RIGHT = {"resnet8_fashion": 0.927, "lenet5_fashion": 0.909}
LOST = {"minmax": 13, "percentile:99.99": 8, "mse": 7, "entropy": 6}  # images that a method loses
LAYERS = (
    ("/stem/Conv", "Conv", 34.1),
    ("/block1/conv1/Conv", "Conv", 41.7),
    ("/block1/conv2/Conv", "Conv", 39.2),
    ("/block2/conv1/Conv", "Conv", 43.9),
    ("/block2/conv2/Conv", "Conv", 42.4),
    ("/block2/shortcut/Conv", "Conv", 27.3),
    ("/block3/conv1/Conv", "Conv", 45.0),
    ("/block3/conv2/Conv", "Conv", 44.6),
    ("/block3/shortcut/Conv", "Conv", 38.8),
    ("/head/Gemm", "Gemm", 36.5),
)
KEPT = "/block2/shortcut/Conv"
WRONG = "1 of 10 convolutions runs in INT8; the calibration asked for 9."
STUDIED = tuple(
    Calibration(batches=images // batch, batch_size=batch, method=method, seed=seed)
    for method in LOST
    for images in (25, 125, 500, 1250)
    for batch in (5, 25)
    for seed in (0, 1, 2)
)


def make_int8_run(root: Path) -> Path:
    """Two trained networks on two engines in FP32 and INT8 at three batch sizes, with layers ranked."""

    def changed(outcome: Outcome) -> Iterable[Outcome]:
        trial = outcome.trial
        if trial.precision is Precision.INT8:
            ranked = trial.model == "resnet8_fashion"
            asked = Calibration(method="auto", keep_fp32="auto") if ranked else Calibration()
            facts = _facts(asked, ranked=ranked, reused=trial.engine.name != "onnxruntime")
            outcome = _calibrated(outcome, trial.id, asked, facts)
        yield outcome

    story = Story(
        models=MODELS,
        engines=("onnxruntime", "openvino"),
        precisions=("fp32", "int8"),
        endings={"lenet5_fashion.openvino.int8.b1": (Verdict.INVALID, WRONG, "not-int8")},
    )
    with patch.dict(made_run.RATIOS, SPEEDUPS), patch.dict(made_run.SPEEDS, SPEEDS):
        make_run(root, story)
    return _rewritten(root, changed)


def make_accuracy_run(
    root: Path,
    studied: Iterable[Calibration] = (Calibration(),),
    *,
    models: tuple[str, ...] = MODELS,
    engines: tuple[str, ...] = ("onnxruntime", "openvino"),
    precisions: tuple[str, ...] = ("fp32", "int8"),
) -> Path:
    """What `dyno accuracy` leaves: right answers of each calibration, and no stopwatch."""
    asked = tuple(studied)

    def changed(outcome: Outcome) -> Iterable[Outcome]:
        outcome = replace(outcome, trial=replace(outcome.trial, task=Task.ACCURACY))
        if outcome.trial.precision is not Precision.INT8:
            yield outcome
            return
        for number, calibration in enumerate(asked):
            name = outcome.trial.id if len(asked) == 1 else f"{outcome.trial.id}.{number:03}"
            facts = _facts(calibration, ranked=False, reused=outcome.trial.engine.name != "onnxruntime")
            yield _calibrated(outcome, name, calibration, facts)

    story = Story(models=models, engines=engines, precisions=precisions, batches=(32,), bursts=0, endings={})
    make_run(root, story)
    return _rewritten(root, changed, f"dyno accuracy {' '.join(models)} --precision {','.join(precisions)}")


def _rewritten(
    root: Path, changed: Callable[[Outcome], Iterable[Outcome]], command: str | None = None
) -> Path:
    """The run with other outcomes, a plan that fits them, and the answers they counted."""
    folder = RunFolder(root)
    folder.answers.mkdir(exist_ok=True)
    lines, trials = [], []
    for line in folder.records.read_bytes().splitlines():
        record = decode_line(line, "made")
        if isinstance(record, RunHeader) and command:
            record = replace(record, command=command, latency_bound_s=None)
        if isinstance(record, Overhead) and command:
            continue
        for each in changed(record) if isinstance(record, Outcome) else (record,):
            answered = _answered(each, folder) if isinstance(each, Outcome) else each
            lines.append(encode_line(answered))
            trials += [each.trial] if isinstance(each, Outcome) else []
    folder.records.write_bytes(b"".join(lines))
    folder.plan.write_bytes(msgspec.json.encode(Plan(trials=tuple(trials))))
    return root


def _calibrated(outcome: Outcome, name: str, asked: Calibration, facts: CalibrationFacts) -> Outcome:
    trial = replace(outcome.trial, id=name, calibration=asked)
    kept = len(facts.fp32_layers)
    built = outcome.built and replace(
        outcome.built, arithmetic={"int8": facts.int8_layers, **({"fp32": kept} if kept else {})}
    )
    return replace(outcome, trial=trial, calibration=facts, built=built)


def _facts(asked: Calibration, *, ranked: bool, reused: bool) -> CalibrationFacts:
    method = "entropy" if asked.method == "auto" else asked.method
    layers = tuple(
        LayerFacts(
            name=name,
            op=op,
            int8=name != KEPT,
            reason="the most sensitive layer" if name == KEPT else "",
            sqnr_db=sqnr_db,
        )
        for name, op, sqnr_db in sorted(LAYERS, key=lambda layer: layer[2])
    )
    tried = tuple(
        MethodScore(
            method=name, images=250, sqnr_db=33.5 - lost / 3, agreement=1 - lost / 500, drop=(lost - 6) / 2500
        )
        for name, lost in LOST.items()
    )
    return CalibrationFacts(
        data="fashion",
        data_hash="c0ffeec0ffeec0ff",
        images=asked.images,
        batch_size=asked.batch_size,
        seed=asked.seed,
        method=method,
        asked_method=asked.method,
        int8_layers=len(LAYERS) - 1 if ranked else len(LAYERS),
        fp32_layers=tuple(layer for layer in layers if not layer.int8) if ranked else (),
        sensitivity=layers if ranked else (),
        tried=tried if asked.method == "auto" else (),
        seconds=4.31,
        reused=reused,
        warnings=("25 calibration images are few; take 100 or more. [few-calibration-images]",)
        if asked.images < 100
        else (),
    )


def _answered(outcome: Outcome, folder: RunFolder) -> Outcome:
    """The outcome with the counts of its answers, which are written."""
    if outcome.accuracy is None or outcome.verdict is Verdict.INVALID:
        return replace(outcome, accuracy=None)
    answers = _answers(outcome)
    np.save(folder.answer_file(outcome.trial.id), answers)
    counted = Accuracy(
        images=IMAGES,
        top1_correct=int((answers[:, 2] == 0).sum()),
        top5_correct=int((answers[:, 2] < 5).sum()),
        dataset="fashion",
        data_hash="0badc0de0badc0de",
    )
    return replace(outcome, accuracy=counted)


def _random(*words: object) -> np.random.Generator:
    digest = hashlib.sha256("/".join(map(str, words)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big"))


def _answers(outcome: Outcome) -> np.ndarray:
    """Int32 (images, 3). INT8 loses some of the right answers and gains a few; batch sizes change nothing."""
    random = _random(outcome.trial.model)
    labels = random.integers(0, 10, IMAGES)
    right = random.random(IMAGES) < RIGHT[outcome.trial.model]
    if facts := outcome.calibration:
        drawn = _random(facts.method, facts.images, facts.seed, outcome.trial.model)
        lost = LOST[facts.method] + round(90 / facts.images**0.5 * float(drawn.random()))
        chances = np.where(labels == 6, 4.0, 1.0) * right
        gone = drawn.choice(IMAGES, lost, replace=False, p=chances / chances.sum())
        won = drawn.choice(np.flatnonzero(~right), 4, replace=False)
        right[gone], right[won] = False, True
    ranks = np.where(right, 0, 1 + random.integers(0, 6, IMAGES))
    first = np.where(right, labels, (labels + 1) % 10)
    return np.stack([labels, first, ranks], axis=1).astype(np.int32)
