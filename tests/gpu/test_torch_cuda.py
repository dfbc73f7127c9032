"""The PyTorch engines on a GPU: labels proved, buffers right at odd batch sizes, memory given back."""

import numpy as np
import pytest

from tensordyno.analysis.verification import verify
from tensordyno.clock import RealClock
from tensordyno.records.trial import EngineChoice, Trial
from tensordyno.scenarios.classify import logits_of
from tensordyno.timing.loop import run_burst
from tensordyno.vocabulary import Boundary, Precision
from tensordyno.worker.build import make_engine
from tensordyno.worker.prepare import prepare_model

pytestmark = pytest.mark.gpu

LABELS = [Precision.FP32, Precision.TF32, Precision.FP16, Precision.BF16]


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """resnet18 with random weights: deep enough for TF32 to show."""
    from tensordyno.models.prepared import load_prepared
    from tensordyno.records.messages import PrepareOrder

    folder = tmp_path_factory.mktemp("prepared") / "resnet18"
    prepare_model(PrepareOrder(trial=_trial(Precision.FP32, 1), folder=str(folder)))
    return load_prepared(folder)


def _trial(precision, batch, name="torch", **options):
    return Trial(
        id="gpu",
        model="resnet18",
        engine=EngineChoice(name=name, options=options),
        precision=precision,
        batch_size=batch,
        device="cuda:0",
    )


@pytest.fixture
def built(prepared):
    """An engine with the network loaded and compiled for a batch."""
    made = []

    def build(precision, batch, name="torch", **options):
        engine = make_engine(_trial(precision, batch, name, **options), 4, RealClock(), prepared.folder)
        engine.receipt()
        engine.load(prepared)
        engine.compile(_images(prepared)[:batch])
        made.append(engine)
        return engine

    yield build
    for engine in made:
        engine.close()


def _images(prepared):
    return np.load(prepared.reference)["images"]


def _reference(prepared):
    return np.load(prepared.reference)["logits"]


@pytest.mark.parametrize("name", ["torch", "torch-compile"])
@pytest.mark.parametrize("precision", LABELS)
def test_every_label_is_proved(built, prepared, name, precision):
    engine = built(precision, 8, name)
    found = verify(logits_of(engine, _images(prepared)), _reference(prepared), precision, False)
    assert found.passed, found.reason


def test_tf32_that_poses_as_fp32_is_caught(built, prepared):
    engine = built(Precision.TF32, 8)
    found = verify(logits_of(engine, _images(prepared)), _reference(prepared), Precision.FP32, False)
    assert not found.passed and "fp32" in found.reason


def test_fp32_that_poses_as_tf32_is_caught(built, prepared):
    engine = built(Precision.FP32, 8)
    found = verify(logits_of(engine, _images(prepared)), _reference(prepared), Precision.TF32, False)
    assert not found.passed


@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize("boundary", list(Boundary))
@pytest.mark.parametrize("batch", [1, 3, 7, 33])
def test_odd_batches_filled_from_few_images_answer_right(built, prepared, batch, boundary, graph):
    engine = built(Precision.FP32, batch, cuda_graph=graph)
    few = _images(prepared)[:5]
    step = engine.bind(few[:batch], boundary)
    step.run()
    expected = np.resize(_reference(prepared)[:5], (batch, 1000))
    np.testing.assert_allclose(step.output(), expected, rtol=0, atol=1e-3 * np.abs(expected).max())


@pytest.mark.parametrize("boundary", list(Boundary))
def test_batches_in_flight_end_in_order_and_are_timed_by_the_device(built, prepared, boundary):
    engine = built(Precision.FP16, 32, "torch", queue=3)
    step = engine.bind(_images(prepared), boundary)
    assert step.depth == 3
    step.run()
    step.device_s()
    laps = run_burst(step, RealClock(), 0.2)
    device_s = step.device_s()
    assert len(laps.latencies_s) >= 24
    # events begin when the device comes to a batch, the stopwatch when it is enqueued
    assert 0 < device_s <= 1.05 * sum(laps.latencies_s)
    assert step.device_s() == 0


def test_a_large_batch_gives_its_memory_back(built, prepared):
    import torch

    engine = built(Precision.FP16, 8)
    engine.release()
    before = torch.cuda.memory_reserved()
    engine.resize(1024)
    engine.compile(_images(prepared))
    engine.bind(_images(prepared), Boundary.DEVICE).run()
    assert torch.cuda.memory_reserved() > before + 2**30
    engine.release()
    assert torch.cuda.memory_reserved() <= before + 2**26


def test_memory_that_runs_out_is_said_in_bytes_and_given_back(built, prepared):
    import torch

    engine = built(Precision.FP32, 8)
    engine.release()
    before = torch.cuda.memory_reserved()
    engine.resize(4_000_000)  # 2.4 TB of images
    with pytest.raises(MemoryError) as full:
        engine.bind(_images(prepared), Boundary.DEVICE).run()
    assert full.value.shortage.asked_bytes > 100e9
    assert full.value.shortage.total_bytes > full.value.shortage.free_bytes
    del full
    engine.release()
    assert torch.cuda.memory_reserved() <= before + 2**26
    engine.resize(4)
    engine.compile(_images(prepared)[:4])
    step = engine.bind(_images(prepared)[:4], Boundary.DEVICE)
    step.run()
    assert engine.peak_device_bytes() > 0
    assert len(step.output()) == 4


def test_a_resized_network_answers_as_a_new_one(built, prepared):
    engine = built(Precision.FP32, 2, "torch-compile")
    engine.release()
    engine.resize(16)
    engine.compile(_images(prepared)[:16])
    found = verify(logits_of(engine, _images(prepared)), _reference(prepared), Precision.FP32, False)
    assert found.passed, found.reason
