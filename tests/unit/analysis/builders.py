"""Facts for the tests of this folder, typed in: trials, bursts, outcomes and runs on disk."""

import msgspec
import numpy as np

from tensordyno.records.build import Accuracy, Built, ProcessFacts, Receipt, Verification
from tensordyno.records.burst import Burst, Probe
from tensordyno.records.calibration import CalibrationFacts
from tensordyno.records.machine import MachineFacts, RunFooter, RunHeader
from tensordyno.records.model import ModelFacts, Preprocessing
from tensordyno.records.outcome import Outcome
from tensordyno.records.trial import EngineChoice, Plan, Trial
from tensordyno.store.layout import RunFolder
from tensordyno.store.reader import Run
from tensordyno.timing.intervals import Interval
from tensordyno.vocabulary import Precision, Verdict, WeightsKind

FREE = Probe(rate=100.0, loss=0.0)


def trial(name="t", engine="onnxruntime", precision="fp32", batch_size=8, options=None, **fields):
    return Trial(
        id=name,
        model=fields.pop("model", "resnet50"),
        engine=EngineChoice(name=engine, options=options or {}),
        precision=Precision(precision),
        batch_size=batch_size,
        **fields,
    )


def burst(start_s=0.0, duration_s=0.5, batches=10, images=80, contended=False, probed=True):
    probe = FREE if probed else None
    return Burst(
        start_s=start_s,
        stop_s=start_s + duration_s,
        batches=batches,
        images=images,
        contended=contended,
        before=probe,
        after=probe,
    )


def bursts(rate=160.0, count=6, start_s=0.0, every_s=1.0, scatter=0.0, seed=0):
    """Half-second bursts of eight-image batches at about `rate` images per second."""
    drawn = rate * (1 + scatter * np.random.default_rng(seed).standard_normal(count))
    return tuple(
        burst(start_s=start_s + i * every_s, batches=10, images=80, duration_s=80 / r)
        for i, r in enumerate(drawn)
    )


def outcome(of=None, verdict=Verdict.VALID, measured=None, weights=WeightsKind.CHECKPOINT, **fields):
    facts = {
        "model": ModelFacts(
            name="resnet50",
            input_shape=(3, 224, 224),
            classes=1000,
            parameters=25_557_032,
            macs=4_089_184_256,
            weights=weights,
            weights_hash="0",
            preprocessing=Preprocessing(),
        ),
        "receipt": Receipt(engine="onnxruntime", version="1.31.1", device="EPYC", threads=2),
        "process": ProcessFacts(pid=1, python="3.11", affinity=(0, 1), threads=2, allocator="default"),
        "built": Built(import_s=0.1, load_s=0.2, compile_s=0.3, first_inference_s=0.4, peak_rss_bytes=300),
        "verification": Verification(
            images=32, sqnr_db=110.0, cosine=1.0, top1_agreement=1.0, max_abs_error=1e-6, passed=True
        ),
        "accuracy": Accuracy(images=2000, top1_correct=1814, top5_correct=1999),
    }
    ran = bursts() if measured is None else tuple(measured)
    return Outcome(trial=of or trial(), verdict=verdict, bursts=ran, **(facts | fields))


def answers(images=2000, wrong=()):
    """Answers to `images` images of ten classes: all right but those numbered in `wrong`."""
    labels = np.arange(images, dtype=np.int32) % 10
    missed = np.isin(np.arange(images), list(wrong))
    return np.column_stack((labels, (labels + missed) % 10, 6 * missed)).astype(np.int32)


def counted(name, table, precision="int8", facts=None, **fields):
    """A trial whose answers were these; `run` stores them when it is given them."""
    right = int((table[:, 2] == 0).sum())
    accuracy = Accuracy(
        images=len(table), top1_correct=right, top5_correct=right, data_hash=f"first {len(table)}"
    )
    return outcome(trial(name, precision=precision, **fields), **({"accuracy": accuracy} | (facts or {})))


def calibrated(**fields):
    asked = {"data": "fashion", "data_hash": "d", "images": 1250, "batch_size": 25, "seed": 0}
    asked |= {"method": "entropy", "asked_method": "auto", "int8_layers": 4}
    return CalibrationFacts(**(asked | fields))


def latencies_of(bursts):
    """Each batch took an equal share of its burst."""
    shares = [np.full(b.batches, b.duration_s / b.batches) for b in bursts if b.batches]
    return np.concatenate(shares) if shares else np.empty(0)


def header(**fields):
    machine = {"hostname": "h", "os": "Linux", "kernel": "6", "cpu": "EPYC", "cores": 2}
    machine |= fields.pop("machine", {})
    asked = {
        "run": "r",
        "started": "2026-11-21T00:00:00Z",
        "clock_start_s": 0.0,
        "command": "dyno",
        "version": "1",
    }
    return RunHeader(machine=MachineFacts(**machine), **(asked | fields))


def run(root, outcomes, skips=(), head=None, store=True, answers=None, **fields):
    """A run whose sample files, and tables of answers by trial, lie under `root`."""
    folder = RunFolder(root)
    for path in (folder.samples, folder.answers):
        path.mkdir(parents=True, exist_ok=True)
    for name, table in (answers or {}).items():
        np.save(folder.answer_file(name), table)
    for one in outcomes if store else ():
        np.save(folder.sample_file(one.trial.id), latencies_of(one.bursts))
    plan = Plan(trials=tuple(o.trial for o in outcomes), skips=tuple(skips))
    finished = {"footer": RunFooter(finished="2026-11-21T01:00:00Z")}
    return Run(
        folder=folder,
        header=head or header(),
        plan=plan,
        outcomes=tuple(outcomes),
        skips=plan.skips,
        **(finished | fields),
    )


def interval(value, width=0.01):
    return Interval(value=value, low=value * (1 - width), high=value * (1 + width))


def changed(record, **fields):
    return msgspec.structs.replace(record, **fields)
