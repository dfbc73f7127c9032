"""A made-up run and its report, once for all tests of reports."""

import pytest
from made_gpu_run import GpuStory, make_gpu_run
from made_int8_run import STUDIED, make_accuracy_run, make_int8_run
from made_run import Story, make_run

from tensordyno.analysis.scores import scores
from tensordyno.report.document import document
from tensordyno.report.drawings import draw
from tensordyno.report.outline import FIGURES_IN_ORDER, sections
from tensordyno.report.write import write_report
from tensordyno.store.reader import read_run


def made_of(root):
    """The run of a folder, its scores and its document."""
    run = read_run(root)
    rows = scores(run)
    names = [name for section in sections(rows) for name in section.figures]
    return run, rows, document(run, rows, draw(run, rows, names))


@pytest.fixture(scope="session")
def root(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("report") / "run")


@pytest.fixture(scope="session")
def run(root):
    return read_run(root)


@pytest.fixture(scope="session")
def rows(run):
    return scores(run)


@pytest.fixture(scope="session")
def written(root):
    """The folder of the written report."""
    return write_report(root).parent


@pytest.fixture(scope="session")
def made(run, rows):
    return document(run, rows, draw(run, rows, FIGURES_IN_ORDER))


@pytest.fixture(scope="session")
def nothing_valid(tmp_path_factory):
    """A run whose only trials crashed or were planned away."""
    ending = next(e for name, e in Story().endings.items() if name.endswith("bf16.b32"))
    story = Story(
        models=("resnet50",),
        engines=("torch", "onnxruntime"),
        precisions=("bf16",),
        batches=(1,),
        endings={"resnet50.torch.bf16.b1": ending},
    )
    return make_run(tmp_path_factory.mktemp("nothing") / "run", story)


@pytest.fixture(scope="session")
def int8_root(tmp_path_factory):
    return make_int8_run(tmp_path_factory.mktemp("int8") / "run")


@pytest.fixture(scope="session")
def int8(int8_root):
    """FP32 and INT8, timed, with layers ranked: run, scores, document."""
    return made_of(int8_root)


@pytest.fixture(scope="session")
def untimed_root(tmp_path_factory):
    return make_accuracy_run(tmp_path_factory.mktemp("untimed") / "run")


@pytest.fixture(scope="session")
def untimed(untimed_root):
    """Right answers alone: run, scores, document."""
    return made_of(untimed_root)


@pytest.fixture(scope="session")
def study(tmp_path_factory):
    """Many calibrations of one network: run, scores, document."""
    root = tmp_path_factory.mktemp("study") / "run"
    return made_of(make_accuracy_run(root, STUDIED, models=("resnet8_fashion",), engines=("onnxruntime",)))


@pytest.fixture(scope="session")
def gpu_root(tmp_path_factory):
    """1, 2 and 4 GPUs, one trial out of memory."""
    story = GpuStory(engines=("torch-compile",), batches=(1, 8, 256))
    return make_gpu_run(tmp_path_factory.mktemp("gpu") / "run", story)


@pytest.fixture(scope="session")
def gpu(gpu_root):
    """The same: run, scores, document."""
    return made_of(gpu_root)


@pytest.fixture(scope="session")
def device_runs(tmp_path_factory):
    """The same trials on three kinds of GPU."""
    root = tmp_path_factory.mktemp("devices")
    a100 = {"name": "NVIDIA A100-SXM4-80GB", "speed": 0.42, "limit_w": 400.0}
    t4 = {"name": "NVIDIA T4", "speed": 0.08, "limit_w": 70.0, "idle_w": 12.0}
    devices = (
        {**t4, "host": "gpu-01", "driver": "535.1"},
        {"name": "NVIDIA H200"},
        {**a100, "host": "gpu-02", "cpu": "AMD EPYC 7742"},
    )
    asked = {"engines": ("torch",), "batches": (1, 8), "counts": (1,), "gpus": 1}
    return [
        read_run(make_gpu_run(root / f"run{i}", GpuStory(**(asked | each)))) for i, each in enumerate(devices)
    ]
