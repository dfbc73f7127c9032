"""Runs on a made-up GPU, from the spec to summary.json: ranks, energy, memory that runs out, reused workers.

The null engine stands for the engine, a recording for the sensors. Real kernels are tested in tests/gpu.
"""

import json

import numpy as np
import pytest
from flow_tools import REAL, null, spec, write_spec
from made_nvml import Load, MadeGpus, write_readings

from tensordyno.store.reader import read_run

WATTS, IDLE = 300.0, 100.0
GPUS = MadeGpus(name="Made GPU", count=2, driver="1", host="h", limit_w=700, idle_w=IDLE)
ON_GPU = {"devices": ["cuda:0"], "boundaries": ["device"], "accuracy_images": 0, "ceilings": False}


@pytest.fixture
def measured(dyno, tmp_path):
    """Run a spec of these engines and keys; returns the stored run and the rows of its summary."""

    def run(engines, **changes):
        path = write_spec(tmp_path, spec(engines, **(ON_GPU | changes)))
        ended = dyno("run", str(path), "-o", "run", "--json", "--no-report")
        rows = json.loads((tmp_path / "run" / "summary.json").read_text())["trials"]
        return read_run(tmp_path / "run"), rows, ended

    return run


def test_energy_of_known_power_on_one_and_two_gpus(measured, tmp_path):
    recording = tmp_path / "nvml.jsonl"
    write_readings(recording, GPUS, [Load(0.0, 120.0, 2, WATTS)], np.arange(0.0, 120.0, 0.1))
    telemetry = {"sources": [f"replay:{recording}"], "overhead": False, "interval_s": 0.05}
    stored, rows, _ = measured(
        [null(cost_s=0.01)],
        gpus=[1, 2],
        batch_sizes=[8],
        telemetry=telemetry,
        measure=REAL | {"energy_seconds": 5},
    )
    for row in rows:
        assert row["verdict"] == "valid" and row["energy_method"] == "counter"
        window = next(o for o in stored.outcomes if o.trial.id == row["trial"]).energy_window
        rate = window.images / window.duration_s
        assert row["power_w"] == pytest.approx(WATTS * row["devices"], rel=0.03)
        assert row["joules_per_image"] == pytest.approx(row["power_w"] / rate, rel=1e-6)
        assert abs(row["energy_disagreement"]) < 0.03
        assert row["energy_window_s"] >= 4.4
        assert row["images_per_joule"] == pytest.approx(1 / row["joules_per_image"])
        assert row["idle_power_w"] == pytest.approx(
            WATTS * row["devices"], rel=0.03
        )  # the recording never rests
        assert row["net_joules_per_image"] == pytest.approx(0, abs=0.05 * row["joules_per_image"])
    assert [w.when for w in stored.idle] == ["before", "after"]
    assert rows[1]["scaling_efficiency"] == pytest.approx(1, abs=0.25)


def test_a_sweep_runs_out_of_memory_and_finds_the_largest_batch(measured):
    engine = null(per_image_s=1e-6, memory_bytes=1000, image_bytes=10)
    stored, rows, _ = measured([engine], batch_sizes="32:256:x2", measure=REAL | {"energy_seconds": 0})
    assert [(row["batch_size"], row["verdict"]) for row in rows] == [
        *((32, "valid"), (64, "valid"), (128, "out_of_memory"), (256, "skipped"))
    ]
    assert rows[2]["asked_bytes"] == 1280 and rows[3]["slug"] == "larger-than-memory"
    assert [row["peak_device_bytes"] for row in rows[:2]] == [320, 640]
    (found,) = stored.largest
    assert (found.fits, found.fails, found.peak_bytes) == (100, 101, 1000)
    assert found.tried == (96, 112, 104, 100, 102, 101) and found.shortage.total_bytes == 1000


def test_bisection_can_be_left_out(measured):
    engine = null(memory_bytes=1000, image_bytes=10)
    keys = {"batch_sizes": [128], "largest_batch": False, "measure": REAL | {"energy_seconds": 0}}
    stored, rows, ended = measured([engine], **keys)
    assert stored.largest == () and rows[0]["verdict"] == "out_of_memory" and ended.status == 1


def test_one_worker_serves_all_batch_sizes_of_a_build(measured):
    stored, rows, _ = measured(
        [null(load_s=0.01), null(load_s=0.01, cost_s=0.002)],
        batch_sizes=[1, 2, 4],
        measure=REAL | {"energy_seconds": 0},
    )
    assert {row["verdict"] for row in rows} == {"valid"}
    by_engine = {}
    for outcome in stored.outcomes:
        by_engine.setdefault(outcome.trial.engine.label, []).append(outcome)
    for outcomes in by_engine.values():
        assert len({o.process.pid for o in outcomes}) == 1
        assert [o.built.reused for o in outcomes] == [False, True, True]
        assert outcomes[0].built.load_s > 0 and outcomes[1].built.load_s == 0


def test_ranks_on_a_cpu_share_its_cores(measured):
    stored, rows, _ = measured([null(cost_s=0.01)], devices=["cpu"], gpus=[2], batch_sizes=[3], measure=REAL)
    (outcome,), (row,) = stored.outcomes, rows
    assert [rank.index for rank in outcome.ranks] == [0, 1]
    assert len({rank.pid for rank in outcome.ranks}) == 2
    for burst in outcome.bursts:
        assert len(burst.ranks) == 2
        assert sum(rank.images for rank in burst.ranks) == burst.images
    assert len(stored.latencies_s(outcome.trial.id)) == sum(b.batches for b in outcome.bursts)
    assert row["images_per_s"] == pytest.approx(sum(row["images_per_s_per_device"]), rel=0.02)


def test_a_rank_that_dies_ends_the_trial_and_no_other(measured):
    _, rows, _ = measured(
        [null(cost_s=0.001, fail="segfault", fail_after=40), null(cost_s=0.001)],
        gpus=[2],
        measure=REAL | {"energy_seconds": 0},
    )
    assert [row["verdict"] for row in rows] == ["crashed", "valid"]
    assert "SIGSEGV" in rows[0]["reason"]
