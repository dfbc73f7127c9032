"""Ratios to a baseline engine's FP32 build of the same network, batch size, boundary and devices."""

import pytest

from tensordyno.analysis.baseline import bursts_of, chosen_baseline, references, relative
from tensordyno.analysis.scores import scores
from tensordyno.vocabulary import Boundary, Task, Verdict

from .builders import bursts, outcome, run, trial


def table(root, *outcomes):
    stored = run(root, outcomes)
    return scores(stored), bursts_of(stored)


def ran(name, rate, start_s=0.0, verdict=Verdict.VALID, **fields):
    return outcome(
        trial(name, **fields), verdict=verdict, measured=bursts(rate, 6, start_s, every_s=2, scatter=0.001)
    )


def test_ratio_to_the_fp32_build_of_the_baseline(tmp_path):
    rows = table(
        tmp_path,
        ran("ort", 100),
        ran("ov", 160, 1, engine="openvino"),
        ran("ov16", 200, 0.5, engine="openvino", precision="bf16"),
    )
    found = relative(*rows, "onnxruntime")
    assert set(found) == {"ov", "ov16"}
    assert found["ov"].ratio.interval.value == pytest.approx(1.6, rel=0.01)
    assert found["ov16"].ratio.interval.low < 2 < found["ov16"].ratio.interval.high
    assert found["ov16"].reference == "ort"
    assert found["ov"].ratio.method == "paired"


@pytest.mark.parametrize(
    "unlike",
    [
        {"batch_size": 32},
        {"boundary": Boundary.DEVICE},
        {"model": "vgg16"},
        {"devices": 2},
        {"precision": "bf16"},
    ],
)
def test_an_unlike_baseline_is_no_baseline(tmp_path, unlike):
    assert (
        relative(
            *table(tmp_path, ran("ort", 100, **unlike), ran("ov", 160, 1, engine="openvino")), "onnxruntime"
        )
        == {}
    )


@pytest.mark.parametrize("verdict", [Verdict.UNSTABLE, Verdict.INVALID, Verdict.CRASHED])
def test_only_a_valid_baseline_counts(tmp_path, verdict):
    rows = table(tmp_path, ran("ort", 100, verdict=verdict), ran("ov", 160, 1, engine="openvino"))
    assert relative(*rows, "onnxruntime") == {}
    assert references(rows[0], "onnxruntime") == ()


def test_a_failed_trial_has_no_ratio(tmp_path):
    rows = table(tmp_path, ran("ort", 100), ran("ov", 160, 1, engine="openvino", verdict=Verdict.INVALID))
    assert relative(*rows, "onnxruntime") == {}


def test_the_exact_label_goes_first_then_the_default_allocator(tmp_path):
    rows, facts = table(
        tmp_path,
        ran("a-kept", 100, allocator="keep"),
        ran("b-tuned", 100, 0.5, options={"threads": 1}),
        ran("c-plain", 100, 1),
    )
    assert references(rows, "onnxruntime")[0].trial == "c-plain"
    assert references(rows, "onnxruntime(threads=1)")[0].trial == "b-tuned"
    assert set(relative(rows, facts, "onnxruntime")) == {"a-kept", "b-tuned"}


def test_what_was_not_timed_is_no_baseline(tmp_path):
    stored = run(tmp_path, [outcome(trial("a", task=Task.ACCURACY), measured=())])
    rows = scores(stored)
    assert references(rows, "onnxruntime") == () and chosen_baseline(stored, rows) == ""
    assert relative(rows, bursts_of(stored), "onnxruntime") == {}
