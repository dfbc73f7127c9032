"""Device memory and throughput against batch size."""

import pytest
from msgspec.structs import replace

from tensordyno.analysis.scores import scores
from tensordyno.figures.base import Empty
from tensordyno.figures.device_memory import MEMBER


@pytest.fixture(scope="module")
def gpu_rows(gpu_run):
    return scores(gpu_run)


@pytest.fixture(scope="module")
def data(gpu_run, gpu_rows):
    return MEMBER.data(gpu_run, gpu_rows)


def test_each_trial_whose_memory_is_known_is_a_row(data, gpu_rows):
    measured = [r for r in data.rows if not r["end"]]
    assert len(measured) == sum(s.peak_device_bytes is not None for s in gpu_rows)
    assert all(r["memory_gib"] > 0 and r["images_per_s"] > 0 for r in measured)


def test_the_sweep_ends_where_memory_ran_out(data):
    fits, out = [r for r in data.rows if r["end"]]
    assert (fits["end"], fits["batch"], fits["memory_gib"]) == ("fits", 3392, 129.0)
    assert (out["end"], out["batch"]) == ("ran out", 3424)
    assert out["memory_gib"] > out["total_gib"] == pytest.approx(131.3, abs=0.1)
    assert data.finding.endswith("batch 3,392 fits, 3,424 asks for 39.0 GiB more than is free.")


def test_each_network_has_a_panel_of_memory_and_one_of_throughput(data):
    titles = [p["title"] for p in MEMBER.chart(data)["concat"]]
    assert titles[:2] == ["resnet50, 1 GPU: device memory, GiB", "resnet50, 1 GPU: images/s"]
    assert len(titles) == 12


def test_precisions_are_colours_and_engines_marks(data):
    panel = MEMBER.chart(data)["concat"][0]
    encodings = [layer["encoding"] for layer in panel["layer"]]
    assert next(e["color"]["scale"]["domain"] for e in encodings if "color" in e) == ["fp32", "fp16"]
    assert next(e["shape"]["scale"]["domain"] for e in encodings if "shape" in e) == [
        "torch",
        "torch-compile",
    ]


def test_a_cpu_says_nothing(run, rows):
    found = MEMBER.data(run, rows)
    assert isinstance(found, Empty) and not found.expected


def test_one_batch_size_is_no_sweep(gpu_run, gpu_rows):
    one = [s for s in gpu_rows if s.batch_size == 8]
    assert MEMBER.data(gpu_run, one) == Empty(
        "No trial's device memory is known at two batch sizes.", expected=False
    )


def test_two_builds_at_a_batch_size_each_are_no_sweep(gpu_run, gpu_rows):
    apart = [s for s in gpu_rows if s.batch_size == (8 if s.precision == "fp32" else 256)]
    assert isinstance(MEMBER.data(gpu_run, apart), Empty)


def test_a_fall_of_memory_is_explained(gpu_run, gpu_rows):
    assert "also tried layouts" not in MEMBER.data(gpu_run, gpu_rows).note
    first = min(s.batch_size for s in gpu_rows)
    tried = [replace(s, peak_device_bytes=2**36) if s.batch_size == first else s for s in gpu_rows]
    assert "also tried layouts" in MEMBER.data(gpu_run, tried).note


def test_nothing_that_ran_out_is_said_so(gpu_run, gpu_rows):
    found = MEMBER.data(gpu_run, [s for s in gpu_rows if s.batch_size < 4096])
    assert found.finding == "No batch ran out of memory."
