"""Each device by itself."""

import pytest
from made_gpu_run import GpuStory, make_gpu_run
from msgspec.structs import replace

from tensordyno.analysis.scores import scores
from tensordyno.figures.base import Empty
from tensordyno.figures.device_consistency import MEMBER
from tensordyno.store.reader import read_run
from tensordyno.vocabulary import Verdict


@pytest.fixture(scope="module")
def gpu(gpu_run):
    return gpu_run, scores(gpu_run)


def test_a_row_a_device_of_the_trial_on_most_devices(gpu):
    data = MEMBER.data(*gpu)
    assert len(data.rows) == 2 * 2 * 2 * 4  # networks, engines, precisions, devices
    assert {r["device"] for r in data.rows} == {"cuda:0", "cuda:1", "cuda:2", "cuda:3"}
    assert {r["panel"] for r in data.rows} == {"resnet50, 4 devices", "vgg16, 4 devices"}
    assert {r["batch"] for r in data.rows} == {256}
    for row in data.rows:
        assert row["low"] < row["images_per_s"] < row["high"]
        assert row["from"] < row["relative"] < row["until"]


def test_differences_from_the_mean_cancel(gpu):
    rows = MEMBER.data(*gpu).rows
    for name in {(r["panel"], r["series"]) for r in rows}:
        mine = [r["relative"] for r in rows if (r["panel"], r["series"]) == name]
        assert sum(mine) == pytest.approx(0.0, abs=0.01)
        assert min(mine) == mine[3]  # the last one is made slower


def test_the_finding_names_the_fastest_and_the_slowest(gpu):
    finding = MEMBER.data(*gpu).finding
    assert finding.startswith("resnet50, 4 devices: at most 1.") and "cuda:3 at" in finding


def test_small_differences_look_small_and_large_ones_fit(gpu, tmp_path):
    axis = MEMBER.chart(MEMBER.data(*gpu))["concat"][0]["layer"][1]["encoding"]["y"]["scale"]["domain"]
    assert axis == [-2.0, 2.0]
    asked = GpuStory(models=("resnet50",), counts=(2,), slow_rank=0.3, out_of_memory=False)
    slow = read_run(make_gpu_run(tmp_path / "slow", asked))
    wide = MEMBER.chart(MEMBER.data(slow, scores(slow)))["concat"][0]["layer"][1]["encoding"]["y"]["scale"]
    assert wide["domain"][1] > 17 and wide["domain"][0] == -wide["domain"][1]


def test_ranks_on_one_cpu_have_numbers(tmp_path):
    asked = GpuStory(models=("resnet50",), counts=(1, 2), device="cpu", gpus=0, out_of_memory=False)
    run = read_run(make_gpu_run(tmp_path / "cpu", asked))
    assert {r["device"] for r in MEMBER.data(run, scores(run)).rows} == {"rank 0", "rank 1"}


def test_too_few_bursts_leave_the_intervals_away(tmp_path):
    asked = GpuStory(models=("resnet50",), counts=(1, 2), bursts=2, out_of_memory=False)
    run = read_run(make_gpu_run(tmp_path / "short", asked))
    data = MEMBER.data(run, scores(run))
    assert {r["low"] for r in data.rows} == {r["until"] for r in data.rows} == {None}
    MEMBER.chart(data)


def test_nothing_to_compare_is_said_or_not_even_that(run, rows, gpu):
    assert not MEMBER.data(run, rows).expected
    crashed = [replace(s, verdict=Verdict.CRASHED) for s in gpu[1]]
    assert MEMBER.data(gpu[0], crashed) == Empty("No trial on several devices was measured.")
