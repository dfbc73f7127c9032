"""Unlike devices and lost throughput are told; good ones are not."""

import pytest
from made_gpu_run import GpuStory, make_gpu_run

from tensordyno.analysis.scaling_checks import gpu_differs, scaling_poor
from tensordyno.analysis.scores import scores
from tensordyno.store.reader import read_run

from .builders import changed


def told(root, check, **story):
    asked = {"models": ("resnet50",), "engines": ("torch",), "precisions": ("fp16",), "batches": (256,)}
    stored = read_run(make_gpu_run(root, GpuStory(**(asked | {"out_of_memory": False, **story}))))
    return stored, scores(stored), check(stored, scores(stored))


@pytest.mark.parametrize("check", [gpu_differs, scaling_poor])
def test_four_good_gpus_are_no_matter(tmp_path, check):
    assert told(tmp_path, check)[2] == []


def test_a_slow_gpu_is_named_with_its_number(tmp_path):
    (warning,) = told(tmp_path, gpu_differs, slow_rank=0.12)[2]
    assert warning.slug == "gpu-differs"
    assert warning.trials == ("resnet50.torch.fp16.b256.x2", "resnet50.torch.fp16.b256.x4")
    assert "than number 3." in warning.sentence or "than number 1." in warning.sentence
    assert "13." in warning.sentence and "more than 5 %" in warning.sentence


def test_lost_throughput_is_told_with_the_worst_trial(tmp_path):
    (warning,) = told(tmp_path, scaling_poor, loss=0.06)[2]
    assert warning.slug == "scaling-poor"
    assert warning.trials == ("resnet50.torch.fp16.b256.x4",)
    assert "less than 90 %" in warning.sentence and "81." in warning.sentence


def test_an_interval_that_reaches_ninety_is_no_proof(tmp_path):
    stored, rows, _ = told(tmp_path, scaling_poor, loss=0.06)
    doubtful = [
        changed(s, scaling_efficiency=changed(s.scaling_efficiency, high=0.91)) if s.speedup else s
        for s in rows
    ]
    assert scaling_poor(stored, doubtful) == []


def test_ranks_that_divide_the_cores_of_one_cpu_lose_nothing(tmp_path):
    stored, rows, warnings = told(tmp_path, scaling_poor, loss=0.2, device="cpu", gpus=0)
    assert len(warnings) == 1  # each rank has a thread of its own: two should do twice the work
    shared = tuple(changed(t, threads=None) for t in stored.plan.trials)
    stored.plan = changed(stored.plan, trials=shared)
    assert scaling_poor(stored, rows) == []
