"""The methods paragraph follows the records, not a template."""

from dataclasses import replace as changed

from msgspec.structs import replace

from tensordyno.records.trial import Measurement
from tensordyno.report.method_text import methods
from tensordyno.vocabulary import Boundary


def with_measurement(run, **fields):
    trials = tuple(replace(t, measurement=Measurement(**fields)) for t in run.plan.trials)
    return changed(run, plan=replace(run.plan, trials=trials))


def test_it_says_what_this_run_did(run, rows):
    text = " ".join(methods(run, rows))
    for fact in (
        "up to 4 at a time", "seed 7", "on 32 images", "fp32 85 dB and bf16 20 dB", "boundary 'host'",
        "bursts of 0.4 s", "narrower than ±3 %", "at least 2 s and at most 20 s", "more than 6 %",
        "12 of 240 bursts", "every 100 ms", "0.9980", "8 interleaved rounds",
        "Random weights: speed only, no accuracy. This holds for resnet50.",
    ):  # fmt: skip
        assert fact in text, fact


def test_other_settings_make_another_text(run, rows):
    text = " ".join(
        methods(with_measurement(run, target_half_width=0.02, burst_seconds=0.1, max_seconds=9), rows)
    )
    assert "±2 %" in text and "bursts of 0.1 s" in text and "at most 9 s" in text


def test_settings_that_differ_between_trials_are_ranges(run, rows):
    first, *rest = run.plan.trials
    trials = (replace(first, measurement=Measurement(max_seconds=60), boundary=Boundary.DEVICE), *rest)
    text = " ".join(methods(changed(run, plan=replace(run.plan, trials=trials)), rows))
    assert "at most 20 to 60 s" in text
    assert "boundary 'device'" in text and "boundary 'host'" in text


def test_what_was_not_done_is_not_claimed(run, rows):
    outcomes = tuple(replace(o, verification=None, bursts=()) for o in run.outcomes)
    bare = changed(run, outcomes=outcomes, overhead=None)
    text = " ".join(methods(bare, [s for s in rows if s.weights != "random"]))
    assert "strict FP32 reference" not in text and "spin" not in text and "Random weights" not in text
    assert "What telemetry cost was not measured in this run." in text


def test_int8_tells_how_it_was_calibrated_and_proved(int8, run, rows):
    text = " ".join(methods(*int8[:2]))
    assert "The INT8 builds of a network all come from one calibration" in text
    assert "own account of its layers had to show that they run in INT8" in text
    assert "paired image by image, with the interval of Bonett and Price (2012)" in text
    assert "INT8" not in " ".join(methods(run, rows))


def test_right_answers_alone_tell_nothing_of_a_stopwatch(untimed):
    text = " ".join(methods(*untimed[:2]))
    for word in ("timed", "Throughput", "bursts", "interleaved", "telemetry", "Latencies"):
        assert word not in text, word
    assert "Accuracies have Wilson intervals." in text
