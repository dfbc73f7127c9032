"""A made-up run and its scores, once for all tests of figures."""

import pytest
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
