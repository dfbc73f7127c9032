"""The whole way: a spec in YAML, workers, a run folder, summary.json, the report; every number foretold."""

import csv
import json
from pathlib import Path

import pytest
from flow_tools import null, run_dyno, spec, write_spec

from tensordyno.store.reader import read_run
from tensordyno.vocabulary import Verdict

RECORDING = Path(__file__).parents[1] / "gold" / "nvml_h200.jsonl"
# DESIGN section 5: other people's scripts rely on these keys
CONTRACT = {
    *("task", "model", "engine", "precision", "batch_size", "devices", "nodes", "boundary"),
    *("images_per_s", "images_per_s_ci95", "latency_p50_s", "latency_p99_s"),
    *("joules_per_image", "power_w", "top1", "top5", "verdict", "reason"),
}
ENGINES = [
    null(cost_s=0.005, per_image_s=0.0005, load_s=3, compile_s=20),
    null(cost_s=0.02, depth=4),
    null(cost_s=0.02, noise=0.8),
    null(error=0.3),
    null(fail="unsupported", fail_at="receipt"),
    null(fail="memory", fail_at="compile"),
    "torch",
]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """One run of everything, by a process of its own."""
    folder = tmp_path_factory.mktemp("whole")
    telemetry = {"sources": [f"replay:{RECORDING}"], "interval_s": 0.05, "overhead": False}
    measure = {"clock": "fake", "min_seconds": 5, "max_seconds": 8}
    content = spec(ENGINES, batch_sizes=[1, 16], telemetry=telemetry, measure=measure, baseline="null")
    path = write_spec(folder, content)
    ended = run_dyno("run", path, "-o", folder / "run", "--json", cwd=folder)
    return ended, folder / "run"


def rows(run, engine, batch_size=1):
    return [
        row
        for row in run[0].summary["trials"]
        if row["engine"].startswith(f"null({engine}") and row["batch_size"] == batch_size
    ]


def test_json_is_alone_on_stdout_and_progress_on_stderr(run):
    ended, root = run
    assert ended.status == 0
    assert ended.summary == json.loads((root / "summary.json").read_text())
    assert "12 trials, 2 skipped" in ended.err and "[12/12]" in ended.err


def test_the_public_keys_are_all_there_and_flat(run):
    summary = run[0].summary
    assert summary["schema"] == 1 and summary["run"] == "run" and summary["machine"]["cores"] >= 1
    assert len(summary["trials"]) == 14
    for row in summary["trials"]:
        assert row.keys() >= CONTRACT
        assert not any(isinstance(value, dict) for value in row.values())


@pytest.mark.parametrize("batch_size", [1, 16])
def test_numbers_of_known_cost_are_exact(run, batch_size):
    (row,) = rows(run, "compile_s", batch_size)
    cost_s = 0.005 + 0.0005 * batch_size
    assert row["verdict"] == "valid"
    assert row["images_per_s"] == pytest.approx(batch_size / cost_s, rel=1e-9)
    assert row["images_per_s_ci95"] == pytest.approx([batch_size / cost_s] * 2, rel=1e-6)
    assert row["latency_p50_s"] == pytest.approx(cost_s, rel=1e-9)
    assert row["latency_mean_s"] == pytest.approx(cost_s, rel=1e-9)
    assert row["load_s"] == pytest.approx(3) and row["compile_s"] == pytest.approx(20)
    assert row["first_inference_s"] == pytest.approx(cost_s)
    assert row["measured_s"] >= 5 and row["batches"] == pytest.approx(row["measured_s"] / cost_s)
    assert row["verified"] and row["sqnr_db"] is None and row["cosine"] == pytest.approx(1)
    assert row["joules_per_image"] is None and row["energy_method"].startswith("unavailable: ")


def test_percentiles_are_refused_where_samples_are_too_few(run):
    many, few = rows(run, "compile_s", 1)[0], rows(run, "compile_s", 16)[0]
    assert many["batches"] >= 459 and many["latency_p99_s"] == pytest.approx(0.0055, rel=1e-9)
    assert few["batches"] < 459 and few["latency_p99_s"] is None


def test_batches_side_by_side_multiply_the_throughput(run):
    (row,) = rows(run, "cost_s=0.02,depth=4")
    assert row["latency_p50_s"] == pytest.approx(0.02, rel=0.5)
    assert row["images_per_s"] == pytest.approx(row["batches"] / row["measured_s"])


def test_accuracy_is_that_of_the_reference(run):
    found = {(row["top1"], row["top5"]) for row in run[0].summary["trials"] if row["verdict"] == "valid"}
    assert len(found) == 1
    top1, top5 = found.pop()
    assert 0.5 <= top1 <= top5 <= 1 and top1 * 16 == int(top1 * 16)


@pytest.mark.parametrize(
    ("engine", "verdict", "slug", "reason"),
    [
        ("cost_s=0.02,noise", "unstable", "interval-too-wide", "asked: ±1 %"),
        ("error", "invalid", "verification-failed", "fp32 must reach 85 dB"),
        ("fail=unsupported", "unsupported", "unsupported", "refuses"),
    ],
)
def test_every_other_end_has_its_verdict_and_reason(run, engine, verdict, slug, reason):
    for row in (*rows(run, engine, 1), *rows(run, engine, 16)):
        assert (row["verdict"], row["slug"]) == (verdict, slug)
        assert reason in row["reason"]
        assert (row["images_per_s"] is not None) == (verdict == "unstable")


def test_a_batch_above_one_that_ran_out_of_memory_is_not_tried(run):
    (small,), (large,) = rows(run, "fail=memory", 1), rows(run, "fail=memory", 16)
    assert (small["verdict"], small["slug"]) == ("out_of_memory", "out-of-memory")
    assert "ran out of memory" in small["reason"] and small["images_per_s"] is None
    assert (large["verdict"], large["slug"]) == ("skipped", "larger-than-memory")
    assert large["reason"] == "A batch of 1 ran out of memory."


def test_what_cannot_work_is_skipped_with_its_reason(run):
    skipped = [row for row in run[0].summary["trials"] if row["verdict"] == "skipped" and not row["slug"]]
    assert [row["engine"] for row in skipped] == ["torch", "torch"]
    assert {row["reason"] for row in skipped} == {"only the null engine runs on the fake clock"}


def test_the_folder_holds_facts_and_raw_samples(run):
    stored = read_run(run[1])
    assert stored.footer is not None and not stored.footer.interrupted and not stored.truncated
    for outcome in stored.outcomes:
        samples = stored.latencies_s(outcome.trial.id)
        assert len(samples) == sum(burst.batches for burst in outcome.bursts)
        if outcome.verdict is Verdict.VALID:
            assert [p.name for p in outcome.phases][:5] == [
                *("import", "load", "compile", "first inference", "verify")
            ]
            assert outcome.warmup is not None and outcome.warmup.settled


def test_a_replayed_recording_is_telemetry_like_any_other(run, dyno, tmp_path):
    stored = read_run(run[1])
    power = next(s for s in stored.series if s.channel.name == "power")
    assert power.channel.device == "gpu0" and power.values[0] == pytest.approx(120.385)
    assert stored.devices[0].labels["name"] == "NVIDIA H200"
    assert stored.sampler is not None and stored.sampler.samples >= len(power.times_s) > 5


def test_the_report_is_made_from_the_folder_alone(run, dyno, tmp_path):
    ended = dyno("report", run[1], "-o", tmp_path / "report", "--nvidia-smi-csv", tmp_path / "smi.csv")
    assert ended.status == 0 and ended.err == ""
    page = tmp_path / "report" / "index.html"
    assert ended.out.split() == ["Report:", str(page)]
    text = page.read_text()
    assert "lenet5_fashion" in text and "interval" in text
    assert (tmp_path / "report" / "report.md").stat().st_size > 500
    pictures = list((tmp_path / "report" / "figures").glob("*.png"))
    assert pictures and max(picture.stat().st_size for picture in pictures) < 1e6
    table = list(csv.DictReader((tmp_path / "report" / "trials.csv").read_text().splitlines()))
    assert len(table) == 14
    header, first = (tmp_path / "smi.csv").read_text().splitlines()[:2]
    assert header.startswith("timestamp") and "NVIDIA H200" in first


def test_the_run_made_its_report_itself(run):
    assert (run[1] / "report" / "index.html").exists()
    assert "Report" not in run[0].out


def test_real_workers_and_sensors_on_the_real_clock(dyno, tmp_path):
    measure = {
        "clock": "real",
        "min_seconds": 0.3,
        "max_seconds": 60,
        "burst_seconds": 0.05,
        "warmup_seconds": 0.05,
        "max_probe_loss": 0.99,
        "target_half_width": 0.9,
    }
    telemetry = {"sources": ["cpu", "process", "memory"], "interval_s": 0.05, "overhead": True}
    path = write_spec(tmp_path, spec([null(cost_s=0.002)], measure=measure, telemetry=telemetry))
    ended = dyno("run", path, "-o", "run", "--no-report", "--json")
    assert ended.status == 0
    (row,) = ended.summary["trials"]
    assert 0.002 <= row["latency_p50_s"] < 1
    stored = read_run(tmp_path / "run")
    assert stored.overhead is not None and stored.overhead.ratio > 0
    assert stored.outcomes[0].bursts[0].before is not None
    pid = stored.outcomes[0].process.pid
    devices = {s.channel.device for s in stored.series if s.channel.source == "process"}
    assert any(device.startswith(f"pid {pid} (lenet5_fashion-null") for device in devices)


def test_nothing_valid_is_exit_1_with_one_line(dyno, tmp_path):
    path = write_spec(tmp_path, spec([null(error=0.3)]))
    ended = dyno("run", path, "-o", "run", "--no-report")
    assert ended.status == 1
    assert "invalid" in ended.out
    assert ended.err.startswith("dyno: No trial is VALID. SQNR 10.")
    assert ended.err.endswith(" [verification-failed]\n") and ended.err.count("\n") == 1


def test_reasons_that_differ_are_left_to_the_table(dyno, tmp_path):
    path = write_spec(tmp_path, spec([null(error=0.3), null(fail="exit", fail_at="load")]))
    ended = dyno("run", path, "-o", "run", "--no-report")
    assert (ended.status, ended.err) == (
        1,
        "dyno: No trial is VALID; the table names the reason of each. [nothing-valid]\n",
    )


def test_all_skipped_is_nothing_valid_too(dyno, tmp_path):
    path = write_spec(tmp_path, spec(["torch"]))
    ended = dyno("run", path, "-o", "run", "--no-report")
    assert ended.status == 1
    assert ended.err == (
        "dyno: No trial is VALID. Only the null engine runs on the fake clock [nothing-valid]\n"
    )


def test_a_dry_run_prints_the_plan_and_writes_nothing(dyno, tmp_path):
    path = write_spec(tmp_path, spec([null(), "torch"]))
    ended = dyno("run", path, "--dry-run")
    assert ended.status == 0
    assert ended.out.splitlines() == [
        "run   lenet5_fashion-null-fp32-b1-host",
        "skip  lenet5_fashion-torch-fp32-b1-host: only the null engine runs on the fake clock",
        "1 trials, 1 skipped",
    ]
    assert [p.name for p in tmp_path.iterdir()] == ["spec.yaml"]


def test_the_default_folder_bears_date_and_name(dyno, tmp_path):
    path = write_spec(tmp_path, spec([null()]))
    assert dyno("run", path, "--no-report").status == 0
    assert dyno("run", path, "--no-report").status == 0
    first, second = sorted((tmp_path / "runs").iterdir())
    assert first.name != second.name and "-flow" in first.name
    listed = dyno("ls")
    assert listed.status == 0 and first.name in listed.out and "finished" in listed.out
