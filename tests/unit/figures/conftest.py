"""A made-up run and its scores, once for all tests of figures."""

import pytest
from made_gpu_run import GpuStory, make_gpu_run
from made_int8_run import STUDIED, make_accuracy_run, make_int8_run
from made_run import Story, make_run

from tensordyno.analysis.scores import scores
from tensordyno.store.reader import read_run


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    return read_run(make_run(tmp_path_factory.mktemp("figures") / "run"))


@pytest.fixture(scope="session")
def rows(run):
    return scores(run)


@pytest.fixture(scope="session")
def small_run(tmp_path_factory):
    """One untrained network at one batch size, one engine, with a power sensor."""
    story = Story(models=("resnet50",), engines=("torch",), precisions=("fp32",), batches=(1,), power=True)
    return read_run(make_run(tmp_path_factory.mktemp("small") / "run", story))


@pytest.fixture(scope="session")
def many_run(tmp_path_factory):
    """More networks than a page shows."""
    models = tuple(f"network_{i:02}" for i in range(20))
    story = Story(models=models, precisions=("fp32",), batches=(1, 8), bursts=3, interval_s=20, endings={})
    return read_run(make_run(tmp_path_factory.mktemp("many") / "run", story))


@pytest.fixture(scope="session")
def int8(tmp_path_factory):
    """Two networks in FP32 and INT8 on two engines, timed: the run and its scores."""
    run = read_run(make_int8_run(tmp_path_factory.mktemp("int8") / "run"))
    return run, scores(run)


@pytest.fixture(scope="session")
def untimed(tmp_path_factory):
    """Right answers alone: the run and its scores."""
    run = read_run(make_accuracy_run(tmp_path_factory.mktemp("untimed") / "run"))
    return run, scores(run)


@pytest.fixture(scope="session")
def study(tmp_path_factory):
    """Calibrations by method, images, batch size and seed: the run and its scores."""
    root = tmp_path_factory.mktemp("study") / "run"
    run = read_run(make_accuracy_run(root, STUDIED, models=("resnet8_fashion",), engines=("onnxruntime",)))
    return run, scores(run)


@pytest.fixture(scope="session")
def gpu_run(tmp_path_factory):
    """1, 2 and 4 GPUs: two networks, two engines, two precisions; one trial out of memory."""
    return read_run(make_gpu_run(tmp_path_factory.mktemp("gpu") / "run"))


@pytest.fixture(scope="session")
def long_run(tmp_path_factory):
    """Three hundred trials beside eight GPUs."""
    models = tuple(f"network_{i:02}" for i in range(25))
    story = GpuStory(
        models=models, batches=(8, 64, 256), counts=(1,), gpus=8, interval_s=1.0, out_of_memory=False
    )
    return read_run(make_gpu_run(tmp_path_factory.mktemp("long") / "run", story))


@pytest.fixture(scope="session")
def dense_run(tmp_path_factory):
    """One network at ten batch sizes on one GPU."""
    story = GpuStory(
        models=("resnet50",), batches=tuple(2**i for i in range(10)), counts=(1,), gpus=1, out_of_memory=False
    )
    return read_run(make_gpu_run(tmp_path_factory.mktemp("dense") / "run", story))
