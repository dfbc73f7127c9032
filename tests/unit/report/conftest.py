"""A made-up run and its report, once for all tests of reports."""

import pytest
from made_run import Story, make_run

from tensordyno.analysis.scores import scores
from tensordyno.report.document import document
from tensordyno.report.drawings import draw
from tensordyno.report.outline import FIGURES_IN_ORDER
from tensordyno.report.write import write_report
from tensordyno.store.reader import read_run


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
