import json
import math
import re

import numpy as np
import pytest
from fake_worker import burst, trial
from made_gpu_run import GpuStory, make_gpu_run
from made_int8_run import make_accuracy_run

from tensordyno.records.calibration import Calibration
from tensordyno.records.machine import MachineFacts, RunFooter, RunHeader
from tensordyno.records.outcome import Outcome
from tensordyno.records.trial import Plan
from tensordyno.store.writer import RunWriter
from tensordyno.vocabulary import Verdict


@pytest.fixture
def stored(tmp_path):
    """A run of trials with these seconds a burst; None for a crash."""

    def make(name, cores=2, **durations_s):
        trials = tuple(trial(key) for key in durations_s)
        trials = tuple(
            type(t)(**{f: getattr(t, f) for f in t.__struct_fields__} | {"model": t.id}) for t in trials
        )
        with RunWriter(tmp_path / name) as writer:
            writer.create(Plan(trials=trials), "")
            facts = MachineFacts(hostname="h", os="o", kernel="k", cpu="c", cores=cores)
            header = {"started": "2026-01-01T00:00:00+00:00", "clock_start_s": 0.0, "command": "dyno run"}
            writer.append(RunHeader(run=name, version="0", machine=facts, **header))
            for one, duration_s in zip(trials, durations_s.values(), strict=True):
                if duration_s is None:
                    writer.append(Outcome(trial=one, verdict=Verdict.CRASHED, reason="Dead."))
                    continue
                jitter = [1 + 1e-4 * math.sin(n) for n in range(10)]
                bursts = tuple(burst(float(n), duration_s * j).burst for n, j in enumerate(jitter))
                writer.save_latencies(one.id, np.full(40, duration_s / 4))
                writer.append(Outcome(trial=one, verdict=Verdict.VALID, bursts=bursts))
            writer.append(RunFooter(finished="2026-01-01T00:01:00+00:00"))
        return tmp_path / name

    return make


@pytest.fixture
def pair(stored):
    old = stored("old", same=1.0, slow=1.0, fast=1.0, broke=1.0, gone=1.0)
    return old, stored("new", cores=4, same=1.001, slow=1.2, fast=0.8, broke=None, come=1.0)


def test_what_changed_and_by_how_much(dyno, pair):
    ended = dyno("compare", *pair)
    assert ended.status == 0 and ended.err == ""
    lines = {line.split()[0]: line for line in ended.out.splitlines() if line.strip()}
    for model, change in {"same": "same", "slow": "slower", "fast": "faster", "broke": "broken"}.items():
        assert lines[model].split()[-1] == change
    assert "0.83x" in lines["slow"] and "1.25x" in lines["fast"]
    assert "crashed" in lines["broke"]
    assert "only in the old run: gone" in ended.out and "only in the new run: come" in ended.out
    assert "environment: " in ended.out and "2 -> 4" in ended.out


def test_json_is_the_whole_comparison(dyno, pair):
    ended = dyno("compare", *pair, "--json")
    found = json.loads(ended.out)
    changes = {match["new"]["model"]: match["change"] for match in found["matches"]}
    assert changes == {"same": "same", "slow": "slower", "fast": "faster", "broke": "broken"}
    ratios = {match["new"]["model"]: match["ratio"] for match in found["matches"]}
    assert ratios["slow"]["value"] == pytest.approx(1 / 1.2) and ratios["broke"] is None
    assert ratios["slow"]["low"] <= 1 / 1.2 <= ratios["slow"]["high"]
    assert [score["model"] for score in found["only_old"]] == ["gone"]


def test_a_script_can_fail_on_what_became_worse(dyno, stored):
    old, slower = stored("old", a=1.0, b=1.0), stored("slower", a=1.0, b=1.2)
    broken, better = stored("broken", a=None, b=1.0), stored("better", a=0.5, b=1.0)
    found = {
        new.name: dyno("compare", old, new, "--fail-on-slower").status
        for new in (slower, broken, better, old)
    }
    assert found == {"slower": 1, "broken": 1, "better": 0, "old": 0}
    assert dyno("compare", old, slower).status == 0


def test_a_margin_within_which_nothing_matters(dyno, stored):
    old, new = stored("old", a=1.0), stored("new", a=1.05)
    status = [dyno("compare", old, new, "--fail-on-slower", "--margin", m).status for m in ("0.02", "0.1")]
    assert status == [1, 0]


def test_runs_with_nothing_in_common(dyno, stored):
    ended = dyno("compare", stored("old", a=1.0), stored("new", b=1.0))
    assert ended.status == 0 and "No configuration is in both runs." in ended.out


def test_right_answers_are_compared_where_nothing_was_timed(dyno, tmp_path):
    old, new = (
        make_accuracy_run(tmp_path / method, [Calibration(method=method)], models=("lenet5_fashion",))
        for method in ("entropy", "minmax")
    )
    ended = dyno("compare", old, new, "--fail-on-slower")
    assert ended.status == 0
    lines = [line.split() for line in ended.out.splitlines() if "int8" in line]
    assert {line[-1] for line in lines} <= {"same", "unclear"} and len(lines) == 2
    assert all("top-1" in line for line in lines)
    assert "lenet5_fashion: calibration method: entropy -> minmax" in ended.out
    found = json.loads(dyno("compare", old, new, "--json").out)
    assert all(-0.01 < match["difference"]["value"] <= 0 for match in found["matches"])


def test_a_script_can_fail_on_fewer_right_answers(dyno, tmp_path, monkeypatch):
    import made_int8_run

    old = make_accuracy_run(tmp_path / "old", models=("lenet5_fashion",))
    monkeypatch.setitem(made_int8_run.LOST, "entropy", 120)
    new = make_accuracy_run(tmp_path / "new", models=("lenet5_fashion",))
    ended = dyno("compare", old, new, "--fail-on-slower")
    assert ended.status == 1 and "worse" in ended.out
    back = dyno("compare", new, old, "--fail-on-slower")
    assert back.status == 0 and "better" in back.out


@pytest.fixture
def device_run(tmp_path):
    """A run on one device of this name and speed."""

    def make(name, speed=1.0, **changes):
        asked = {"models": ("resnet50",), "engines": ("torch",), "batches": (1, 8), "counts": (1,), "gpus": 1}
        asked |= {"out_of_memory": False, "host": name.split()[-1].lower()} | changes
        root = tmp_path / f"on {name}"
        return root if root.exists() else make_gpu_run(root, GpuStory(name=name, speed=speed, **asked))

    return make


def test_two_devices_are_compared_by_ratio(dyno, device_run):
    ended = dyno("compare", device_run("NVIDIA T4", 0.1), device_run("NVIDIA H200"))
    assert ended.status == 0 and ended.err == ""
    assert "1: NVIDIA T4 (run " in ended.out and "2: NVIDIA H200 (run " in ended.out
    lines = [line for line in ended.out.splitlines() if line.split()[:2] == ["resnet50", "torch"]]
    assert len(lines) == 4 and all("0.100x" in line or "0.0" in line or "0.1" in line for line in lines)
    assert "NVIDIA H200 in fp16: 10.0" in ended.out or "NVIDIA H200 in fp16: 9.9" in ended.out
    assert "environment: GPU name: NVIDIA T4 -> NVIDIA H200" in ended.out


def test_a_cpu_with_a_gpu(dyno, device_run):
    cpu = device_run("EPYC", 0.01, device="cpu", gpus=0, cpu="AMD EPYC 9V45")
    lines = (cpu / "records.jsonl").read_text().replace('"boundary":"host"', '"boundary":"device"')
    (cpu / "records.jsonl").write_text(lines)
    ended = dyno("compare", cpu, device_run("NVIDIA H200"))
    assert "NVIDIA H200 in fp32: 100." in ended.out or "NVIDIA H200 in fp32: 99." in ended.out


def test_more_runs_than_two_are_compared_with_the_first(dyno, device_run):
    runs = [device_run(name, speed) for name, speed in (("A", 1.0), ("B", 2.0), ("C", 0.5))]
    found = json.loads(dyno("compare", *runs, "--json").out)
    assert [side["label"] for side in found["sides"]] == ["A", "B", "C"]
    for contest in found["contests"]:
        ratios = [standing["ratio"] for standing in contest["standings"]]
        assert ratios[0] is None
        assert [r["value"] for r in ratios[1:]] == pytest.approx([2.0, 0.5], rel=0.01)


def test_several_runs_of_one_device(dyno, stored):
    runs = [stored(f"run{i}", a=1.0 - i / 10) for i in range(3)]
    ended = dyno("compare", *runs)
    assert ended.status == 0 and "2 over 1" in ended.out and "3 over 1" in ended.out


def test_the_number_of_devices_is_a_column_where_there_are_several(dyno, device_run):
    runs = [device_run(name, counts=(1, 2), gpus=2) for name in ("A", "B")]
    assert "devices" in dyno("compare", *runs).out


def test_a_script_can_fail_on_a_slower_device(dyno, device_run):
    slow, fast = device_run("NVIDIA T4", 0.1), device_run("NVIDIA H200")
    assert dyno("compare", slow, fast, "--fail-on-slower").status == 0
    assert dyno("compare", fast, slow, "--fail-on-slower").status == 1
    assert dyno("compare", fast, slow).status == 0


def test_a_page_of_two_devices_and_of_two_runs(dyno, device_run, pair, tmp_path):
    devices = dyno("compare", device_run("NVIDIA T4", 0.1), device_run("NVIDIA H200"), "-o", "page")
    assert devices.out.endswith("Page: page/index.html\n")
    assert "NVIDIA H200 against NVIDIA T4" in (tmp_path / "page/index.html").read_text()
    before, after = dyno("compare", *pair).out, dyno("compare", *pair, "-o", tmp_path / "same").out
    assert after == f"{before}Page: {tmp_path / 'same/index.html'}\n"
    assert (tmp_path / "same/comparison.md").read_text().startswith("# c, new against c, old\n")


def test_one_run_is_nothing_to_compare(dyno, stored):
    ended = dyno("compare", stored("old", a=1.0))
    assert ended.status == 2 and "[bad-usage]" in ended.err and "Two runs" in ended.err


def test_devices_with_nothing_in_common(dyno, device_run):
    gpu = device_run("NVIDIA H200")
    cpu = device_run("EPYC", 0.01, device="cpu", gpus=0, cpu="AMD EPYC 9V45", models=("vgg16", "alexnet"))
    out = dyno("compare", gpu, cpu).out
    assert "1: NVIDIA H200 (run " in out and "No configuration is in two of the runs." in out
    assert out.count("only in the run of NVIDIA H200: ") == 4
    assert re.search(r"only in the run of [^:]+: \d+ more \(all with --json\)", out) is None
    assert re.search(r"environment: \d+ more facts differ", out)


def test_of_many_trials_without_a_partner_the_first_are_named(dyno, device_run):
    batches = tuple(2**i for i in range(7))
    out = dyno("compare", device_run("A"), device_run("B", batches=batches)).out
    assert out.count("only in the run of B: ") == 9
    assert "only in the run of B: 2 more (all with --json)" in out
