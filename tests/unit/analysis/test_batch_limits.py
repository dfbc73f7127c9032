"""Where batches became too large: by bisection, or from the sweep itself."""

from dataclasses import replace as changed

import pytest
from made_gpu_run import GpuStory, make_gpu_run
from msgspec.structs import replace

from tensordyno.analysis.batch_limits import BatchLimit, batch_limits
from tensordyno.analysis.scores import scores
from tensordyno.records.memory import Shortage
from tensordyno.store.reader import read_run

GIB = 2**30


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    story = GpuStory(engines=("torch",), batches=(8, 256), counts=(1,))
    return read_run(make_gpu_run(tmp_path_factory.mktemp("limits") / "run", story))


@pytest.fixture(scope="module")
def rows(run):
    return scores(run)


def test_a_bisection_says_where_the_sweep_ended(run, rows):
    (limit,) = batch_limits(run, rows)
    assert (limit.score.model, limit.score.precision) == ("vgg16", "fp32")
    assert (limit.fits, limit.fails, limit.peak_bytes) == (3392, 3424, 129 * GIB)
    assert limit.needed_bytes == 141 * 10**9 + 39 * GIB
    assert limit.sentence == "batch 3,392 fits, 3,424 asks for 39.0 GiB more than is free"


def test_without_one_the_sweep_says_it(run, rows):
    (limit,) = batch_limits(changed(run, largest=()), rows)
    peak = next(s.peak_device_bytes for s in rows if s.trial == "vgg16.torch.fp32.b256.x1")
    assert (limit.fits, limit.fails, limit.peak_bytes) == (256, 4096, peak)
    assert limit.shortage.asked_bytes == 49 * GIB


def test_a_bisection_without_figures_takes_those_of_the_sweep(run, rows):
    sought = replace(run.largest[0], fits=256, fails=257, peak_bytes=None, shortage=None)
    (limit,) = batch_limits(changed(run, largest=(sought,)), rows)
    peak = next(s.peak_device_bytes for s in rows if s.trial == "vgg16.torch.fp32.b256.x1")
    assert limit.peak_bytes == peak and limit.shortage.asked_bytes == 49 * GIB


def test_a_bisection_of_another_build_is_not_taken(run, rows):
    other = replace(run.largest[0], boundary="host")
    (limit,) = batch_limits(changed(run, largest=(other,)), rows)
    assert limit.fits == 256


def test_a_build_whose_every_batch_ran_out(run, rows):
    only = [s for s in rows if s.batch_size == 4096]
    (limit,) = batch_limits(changed(run, largest=()), only)
    assert limit.fits == 0 and limit.peak_bytes is None
    assert limit.sentence == "not even batch 4,096 fits: it asks for 18.0 GiB more than is free"


def test_nothing_ran_out(run, rows):
    assert batch_limits(run, [s for s in rows if s.batch_size < 4096]) == ()


@pytest.mark.parametrize(
    ("shortage", "end"),
    [
        (None, "runs out of memory"),
        (Shortage(), "runs out of memory"),
        (Shortage(asked_bytes=GIB), "asks for 1.00 GiB in one piece"),
        (Shortage(asked_bytes=GIB, free_bytes=3 * GIB), "asks for 1.00 GiB in one piece"),
        (Shortage(asked_bytes=3 * GIB, free_bytes=GIB), "asks for 2.00 GiB more than is free"),
    ],
)
def test_the_sentence_says_what_is_known(rows, shortage, end):
    limit = BatchLimit(score=rows[0], fits=7, fails=8, shortage=shortage)
    assert limit.sentence == f"batch 7 fits, 8 {end}"
    assert limit.needed_bytes is None
