"""The public contract: the keys that scripts of other people read, and their types."""

import json

import numpy as np
import pytest

from tensordyno.analysis.scores import Score, scores
from tensordyno.analysis.summary import flat, summary
from tensordyno.records.trial import Skip
from tensordyno.vocabulary import Verdict

from .builders import (
    answers,
    bursts,
    calibrated,
    changed,
    counted,
    header,
    latencies_of,
    outcome,
    run,
    trial,
)

TEXT, NUMBER, COUNT = (str,), (float, type(None)), (int,)
PAIR, MAYBE = (list, type(None)), (int, type(None))
CONTRACT = {
    "trial": TEXT,
    "task": TEXT,
    "model": TEXT,
    "engine": TEXT,
    "engine_name": TEXT,
    "precision": TEXT,
    "batch_size": COUNT,
    "devices": COUNT,
    "nodes": COUNT,
    "boundary": TEXT,
    "device": TEXT,
    "dataset": TEXT,
    "verdict": TEXT,
    "reason": TEXT,
    "slug": TEXT,
    "weights": TEXT,
    "images_per_s": NUMBER,
    "images_per_s_ci95": PAIR,
    "latency_p50_s": NUMBER,
    "latency_p50_s_ci95": PAIR,
    "latency_p90_s": NUMBER,
    "latency_p90_s_ci95": PAIR,
    "latency_p99_s": NUMBER,
    "latency_p99_s_ci95": PAIR,
    "latency_mean_s": NUMBER,
    "latency_worst_s": NUMBER,
    "batches": COUNT,
    "measured_s": (float,),
    "contended_bursts": COUNT,
    "bursts": COUNT,
    "top1": NUMBER,
    "top1_ci95": PAIR,
    "top5": NUMBER,
    "top5_ci95": PAIR,
    "accuracy_images": COUNT,
    "unreadable_images": COUNT,
    "verified": (bool, type(None)),
    "sqnr_db": NUMBER,
    "cosine": NUMBER,
    "top1_agreement": NUMBER,
    "time_to_first_inference_s": NUMBER,
    "import_s": NUMBER,
    "load_s": NUMBER,
    "compile_s": NUMBER,
    "first_inference_s": NUMBER,
    "peak_rss_bytes": (int, type(None)),
    "gmacs": NUMBER,
    "parameters": (int, type(None)),
    "joules_per_image": NUMBER,
    "energy_method": TEXT,
    "power_w": NUMBER,
    "threads": (int, type(None)),
    "allocator": TEXT,
    "engine_version": TEXT,
    "choices": TEXT,
    "group": TEXT,
    "calibration_images": MAYBE,
    "calibration_batch": MAYBE,
    "calibration_method": TEXT,
    "calibration_seed": MAYBE,
    "calibration_reused": (bool, type(None)),
    "int8_layers": MAYBE,
    "float_layers": MAYBE,
    "fp32_kept": MAYBE,
    "fp32_trial": TEXT,
    "top1_difference": NUMBER,
    "top1_difference_ci95": PAIR,
    "top5_difference": NUMBER,
    "top5_difference_ci95": PAIR,
    "top1_p_value": NUMBER,
    "fp32_agreement": NUMBER,
    "device_name": TEXT,
    "device_latency_mean_s": NUMBER,
    "peak_device_bytes": MAYBE,
    "asked_bytes": MAYBE,
    "images_per_s_per_device": (list,),
    "speedup": NUMBER,
    "speedup_ci95": PAIR,
    "scaling_efficiency": NUMBER,
    "scaling_efficiency_ci95": PAIR,
    "device_spread": NUMBER,
    "sustained_images_per_s": NUMBER,
    "energy_window_s": NUMBER,
    "energy_disagreement": NUMBER,
    "idle_power_w": NUMBER,
    "net_joules_per_image": NUMBER,
    "images_per_joule": NUMBER,
    "cpu_joules_per_image": NUMBER,
    "power_limit_w": NUMBER,
    "sm_clock_hz": NUMBER,
    "temperature_max_c": NUMBER,
    "throttled": TEXT,
    "operations_per_s": NUMBER,
    "intensity": NUMBER,
    "peak_share": NUMBER,
    "ceiling_share": NUMBER,
}
DESIGN = {
    *("task", "model", "engine", "precision", "batch_size", "devices", "nodes", "boundary", "images_per_s"),
    *("images_per_s_ci95", "latency_p50_s", "latency_p99_s", "joules_per_image", "power_w", "top1", "top5"),
    *("verdict", "reason"),
}


@pytest.fixture
def stored(tmp_path):
    """A whole trial, one cut short, a dead one and one that was planned away."""
    full = outcome(trial("full"), measured=bursts(160, 60))
    short = outcome(trial("short"), measured=bursts(160, 2))
    dead = outcome(
        trial("dead"), measured=(), verdict=Verdict.OUT_OF_MEMORY, accuracy=None, verification=None
    )
    return run(tmp_path, [full, short, dead], [Skip(trial=trial("skip"), reason="No.")])


def test_keys_and_types_are_pinned(stored):
    whole = summary(stored, scores(stored))
    assert list(whole) == ["schema", "run", "machine", "trials"]
    assert (whole["schema"], whole["run"], whole["machine"]["cpu"]) == (1, "r", "EPYC")
    assert len(whole["trials"]) == 4
    for row in whole["trials"]:
        assert set(row) == set(CONTRACT)
        for key, value in row.items():
            assert type(value) in CONTRACT[key], key


def test_an_int8_trial_has_every_key_filled(tmp_path):
    exact, coarse = answers(2000, range(100)), answers(2000, range(110))
    one = counted("coarse", coarse, facts={"calibration": calibrated()})
    one = changed(one, built=changed(one.built, arithmetic={"int8": 4, "fp32": 0}))
    outcomes = [counted("exact", exact, "fp32"), one]
    stored = run(tmp_path, outcomes, answers={"exact": exact, "coarse": coarse})
    row = summary(stored, scores(stored))["trials"][1]
    first = list(row).index("calibration_images")
    assert list(row)[first - 1] == "group"  # keys are appended, never moved
    last = list(row).index("device_name")  # a GPU's keys come after INT8's
    assert {key: row[key] for key in list(row)[first:last] if row[key] in (None, "")} == {}
    for key in list(row)[first:]:
        assert type(row[key]) in CONTRACT[key], key
    assert row["top1_difference_ci95"][0] < row["top1_difference"] == pytest.approx(-0.005)


def test_what_the_design_promises_is_there():
    assert set(CONTRACT) >= DESIGN


def test_values(stored):
    full, short, dead, skip = summary(stored, scores(stored))["trials"]
    assert full["images_per_s"] == pytest.approx(160)
    assert full["images_per_s_ci95"] == pytest.approx([160, 160])
    assert full["top1"] == 0.907
    assert full["top1_ci95"][0] < 0.907 < full["top1_ci95"][1]
    assert full["verdict"] == "valid"
    assert full["latency_p99_s"] == pytest.approx(0.05)
    assert short["images_per_s"] == pytest.approx(160)
    assert short["images_per_s_ci95"] is None
    assert short["latency_p99_s"] is None
    assert (dead["verdict"], dead["images_per_s"], dead["top1"]) == ("out_of_memory", None, None)
    assert (skip["verdict"], skip["reason"]) == ("skipped", "No.")


def test_it_is_strict_json_and_comes_back_unchanged(stored):
    whole = summary(stored, scores(stored))
    assert json.loads(json.dumps(whole, allow_nan=False)) == whole


def test_not_a_number_becomes_null():
    score = Score(
        trial="t",
        task="inference",
        model="m",
        engine="e",
        engine_name="e",
        precision="fp32",
        batch_size=1,
        devices=1,
        nodes=1,
        boundary="host",
        device="cpu",
        dataset="d",
        verdict=Verdict.VALID,
        latency_mean_s=float("nan"),
        power_w=float("inf"),
    )
    assert flat(score)["latency_mean_s"] is None
    assert flat(score)["power_w"] is None


def test_machine_facts_are_plain(tmp_path):
    head = header(machine={"instruction_sets": ("avx2",), "spin_rate": float("nan")})
    machine = summary(run(tmp_path, [], head=head), ())["machine"]
    assert json.loads(json.dumps(machine, allow_nan=False))["instruction_sets"] == ["avx2"]
    assert machine["spin_rate"] is None


def test_numpy_never_leaks_into_the_summary(tmp_path):
    ran = bursts(np.float64(160), 8)
    stored = run(tmp_path, [outcome(measured=ran)])
    assert latencies_of(ran).dtype == np.float64
    row = summary(stored, scores(stored))["trials"][0]
    assert all(type(v).__module__ == "builtins" for v in row.values())
