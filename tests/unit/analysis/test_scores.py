"""Scores from facts: the numbers of a trial, and what is left out of them."""

import time

import numpy as np
import pytest

from tensordyno.analysis.energy import Energy
from tensordyno.analysis.scores import score, scores
from tensordyno.errors import StoreError
from tensordyno.records.calibration import LayerFacts
from tensordyno.records.trial import Skip
from tensordyno.vocabulary import Precision, Task, Verdict

from .builders import (
    answers,
    burst,
    bursts,
    calibrated,
    changed,
    counted,
    latencies_of,
    outcome,
    run,
    trial,
)


def test_the_numbers_of_a_trial():
    one = outcome(measured=bursts(160, 60))
    row = score(one, latencies_of(one.bursts), Energy(method="counter", joules_per_image=0.5, power_w=80.0))
    assert row.images_per_s.value == pytest.approx(160)
    assert row.images_per_s.half_width == pytest.approx(0, abs=1e-9)
    assert row.latency_p50_s.value == pytest.approx(0.05)
    assert row.latency_mean_s == pytest.approx(0.05)
    assert row.latency_p99_s.value == pytest.approx(0.05)
    assert (row.bursts, row.batches, row.measured_s) == (60, 600, pytest.approx(30))
    assert row.top1.value == 0.907
    assert row.top5.value == 0.9995
    assert row.top1.low < 0.907 < row.top1.high
    assert (row.joules_per_image, row.power_w, row.energy_method) == (0.5, 80.0, "counter")
    assert row.gmacs == pytest.approx(4.089, abs=1e-3)
    assert row.time_to_first_inference_s == pytest.approx(1.0)
    assert row.verified is True
    assert (row.weights, row.threads, row.engine_version) == ("checkpoint", 2, "1.31.1")


def test_who_and_what():
    asked = trial(
        "id", options={"hint": "latency"}, precision="bf16", batch_size=3, group="g", allocator="keep"
    )
    row = score(outcome(asked, measured=()), np.empty(0))
    assert (row.trial, row.engine, row.engine_name) == ("id", "onnxruntime(hint=latency)", "onnxruntime")
    assert (row.precision, row.batch_size, row.boundary, row.task) == (Precision.BF16, 3, "host", "inference")
    assert (row.group, row.allocator) == ("g", "keep")


def test_contended_bursts_are_left_out_of_every_number():
    kept, lost = bursts(160, 50), [changed(b, contended=True) for b in bursts(40, 5, start_s=0.5)]
    mixed = sorted([*kept, *lost], key=lambda b: b.start_s)
    probed_away = changed(burst(start_s=99), batches=0, images=0, contended=True)
    one = outcome(measured=[*mixed, probed_away])
    row = score(one, latencies_of(one.bursts))
    alone = outcome(measured=kept)
    assert row == changed(score(alone, latencies_of(kept)), contended_bursts=6)
    assert row.latency_worst_s == pytest.approx(0.05)


def test_throughput_is_by_the_wall_clock_and_not_by_latency():
    """Two batches in flight: each takes 0.1 s, twenty a second are done."""
    one = outcome(measured=[burst(start_s=i, duration_s=0.5, batches=10, images=80) for i in range(5)])
    row = score(one, np.full(50, 0.1))
    assert row.images_per_s.value == 160
    assert row.latency_mean_s == pytest.approx(0.1)


@pytest.mark.parametrize("count", [0, 59, 61])
def test_a_sample_file_that_does_not_fit_is_an_error(count):
    with pytest.raises(StoreError, match=f"{count} latencies are stored, its bursts ran 60") as caught:
        score(outcome(), np.ones(count))
    assert caught.value.slug == "broken-samples"


def test_a_failure_has_no_numbers_and_keeps_its_reason():
    row = score(
        outcome(
            verdict=Verdict.CRASHED,
            measured=(),
            reason="Killed.",
            slug="killed",
            accuracy=None,
            model=None,
            receipt=None,
            process=None,
            built=None,
            verification=None,
        ),
        np.ones(7),  # of an earlier attempt
    )
    assert (row.verdict, row.reason, row.slug) == (Verdict.CRASHED, "Killed.", "killed")
    for name in (
        "images_per_s",
        "latency_p50_s",
        "latency_mean_s",
        "top1",
        "joules_per_image",
        "verified",
        "gmacs",
    ):
        assert getattr(row, name) is None


def test_unknown_is_none_and_never_zero():
    row = score(outcome(measured=bursts(count=2), accuracy=None), latencies_of(bursts(count=2)))
    assert row.images_per_s.value == pytest.approx(160)
    assert not row.images_per_s.is_bounded
    assert row.latency_p50_s is not None
    assert row.latency_p90_s is None
    assert row.latency_p99_s is None
    assert row.top1 is None
    assert row.energy_method == "unavailable"


def test_a_run_gives_its_outcomes_in_order_and_then_its_skips(tmp_path):
    skip = Skip(trial=trial("c", precision="fp8"), reason="No fp8 here.")
    rows = scores(run(tmp_path, [outcome(trial("b")), outcome(trial("a"))], [skip]))
    assert [(r.trial, r.verdict) for r in rows] == [
        ("b", Verdict.VALID),
        ("a", Verdict.VALID),
        ("c", Verdict.SKIPPED),
    ]
    assert rows[2].reason == "No fp8 here."
    assert rows[0].energy_method == "unavailable: no energy or power sensor of cpu"


def test_the_order_of_bursts_does_not_matter():
    one, ran = outcome(), bursts(scatter=0.05)
    forth = score(changed(one, bursts=ran), latencies_of(ran))
    back = score(changed(one, bursts=ran[::-1]), latencies_of(ran[::-1]))
    assert forth.images_per_s.value == pytest.approx(back.images_per_s.value)
    assert forth.latency_p50_s == back.latency_p50_s


def test_ten_thousand_trials_score_in_seconds(tmp_path):
    """A tenth of them in a tenth of 4 s of processor time, with a wide margin for a machine that stalls."""
    outcomes = [outcome(trial(str(i)), measured=bursts(count=5 + i % 20)) for i in range(1000)]
    stored = run(tmp_path, outcomes)
    start = time.process_time()
    assert len(scores(stored)) == 1000
    assert time.process_time() - start < 2.0


def test_a_calibration_and_the_engines_own_account_of_its_layers():
    kept = (LayerFacts(name="head", op="Gemm", int8=False),)
    one = outcome(trial(precision="int8"), measured=(), calibration=calibrated(seed=3, fp32_layers=kept))
    one = changed(one, built=changed(one.built, arithmetic={"int8": 51, "fp32": 2, "bf16": 1}))
    row = score(one, np.empty(0))
    assert (row.calibration_images, row.calibration_batch, row.calibration_seed) == (1250, 25, 3)
    assert (row.calibration_method, row.calibration_reused, row.fp32_kept) == ("entropy", False, 1)
    assert (row.int8_layers, row.float_layers) == (51, 3)
    plain = score(outcome(measured=()), np.empty(0))
    assert (plain.calibration_images, plain.calibration_method, plain.fp32_kept) == (None, "", None)
    assert (plain.int8_layers, plain.float_layers) == (None, None)


def test_answers_are_compared_with_fp32(tmp_path):
    exact, coarse = answers(2000, range(100)), answers(2000, range(5, 110))
    outcomes = [counted("coarse", coarse), counted("exact", exact, "fp32")]
    row, reference = scores(run(tmp_path, outcomes, answers={"exact": exact, "coarse": coarse}))
    assert row.fp32_trial == "exact"
    assert row.top1_difference.value == row.top5_difference.value == pytest.approx(-0.0025)
    assert row.top1_difference.low < row.top1_difference.value < row.top1_difference.high < row.top1.high
    assert row.top1_p_value == pytest.approx(6885 / 2**15)  # 5 gained against 10 lost
    assert row.fp32_agreement == pytest.approx(1 - 15 / 2000)
    assert (reference.fp32_trial, reference.top1_difference) == ("", None)


@pytest.mark.parametrize(
    ("verdict", "task", "timed"),
    [("valid", "inference", True), ("unstable", "inference", True), ("valid", "accuracy", False)],
)
def test_what_was_timed(verdict, task, timed):
    one = outcome(trial(task=Task(task)), verdict=Verdict(verdict), measured=())
    assert score(one, np.empty(0)).is_timed is timed
