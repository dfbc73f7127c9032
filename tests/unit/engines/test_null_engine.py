import time

import numpy as np
import pytest

from tensordyno.clock import FakeClock
from tensordyno.engines.out_of_memory import shortage_of
from tensordyno.errors import Unsupported
from tensordyno.records.memory import Shortage
from tensordyno.vocabulary import Boundary, Precision


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def reference(tiny):
    with np.load(tiny.reference) as stored:
        return stored["images"], stored["logits"]


def built(engine, tiny, images):
    engine.receipt()
    engine.load(tiny)
    engine.compile(images)
    return engine.bind(images, Boundary.HOST)


def sqnr_db(answer, expected):
    return 10 * np.log10(np.sum(np.square(expected)) / np.sum(np.square(answer - expected)))


def test_time_is_exact_on_a_fake_clock(make_engine, tiny, reference, clock):
    engine = make_engine("null", clock=clock, cost_s=0.25, per_image_s=0.125, load_s=2, compile_s=3)
    engine.receipt()
    engine.load(tiny)
    assert clock.now() == 2
    engine.compile(reference[0][:2])
    assert clock.now() == 5
    engine.bind(reference[0][:2], Boundary.DEVICE).run()
    assert clock.now() == 5.5  # one batch of two images


def test_a_depth_multiplies_throughput(make_engine, tiny, reference, clock):
    step = built(make_engine("null", clock=clock, depth=4, cost_s=1), tiny, reference[0][:2])
    flying = [step.start() for _ in range(step.depth)]
    for _ in range(8):
        step.finish(flying.pop(0))
        flying.append(step.start())
    assert clock.now() == 2  # eight batches, four at a time, one second each


def test_spinning_takes_the_time_and_is_for_the_real_clock_only(make_engine, tiny, reference, clock):
    step = built(make_engine("null", spin=True, cost_s=0.02), tiny, reference[0][:2])
    cpu_s, wall_s = time.process_time(), time.perf_counter()
    step.run()
    assert time.perf_counter() - wall_s >= 0.02
    assert time.process_time() - cpu_s > 0.005
    step = built(make_engine("null", clock=clock, spin=True, cost_s=1), tiny, reference[0][:2])
    step.run()
    assert clock.now() == 1


def test_a_cost_of_nothing_does_not_even_sleep(make_engine, tiny, reference, clock, monkeypatch):
    monkeypatch.setattr(clock, "sleep", lambda _: pytest.fail("slept"))
    built(make_engine("null", clock=clock, cost_s=0), tiny, reference[0][:2]).run()


def test_noise_is_seeded_and_keeps_the_mean(make_engine, tiny, reference, clock):
    def durations():
        fake = FakeClock()
        step = built(make_engine("null", clock=fake, noise=0.1, cost_s=1), tiny, reference[0][:2])
        stamps = [fake.now()]
        for _ in range(4000):
            step.run()
            stamps.append(fake.now())
        return np.diff(stamps)

    first = durations()
    np.testing.assert_array_equal(first, durations())
    assert first.mean() == pytest.approx(1, abs=0.01)  # six standard errors
    assert np.log(first).std() == pytest.approx(0.1, abs=0.01)


def test_answers_are_the_reference_s_in_any_order(make_engine, tiny, reference):
    images, logits = reference
    order = [3, 0]
    step = built(make_engine("null", cost_s=0), tiny, images[order])
    step.run()
    np.testing.assert_array_equal(step.output(), logits[order])


def test_unknown_images_get_answers_of_their_own(make_engine, tiny, reference):
    images = np.random.default_rng(1).standard_normal((2, 3, 16, 16), np.float32)
    answers = [built(make_engine("null", cost_s=0), tiny, images).output() for _ in range(2)]
    np.testing.assert_array_equal(*answers)
    assert not np.array_equal(answers[0][0], answers[0][1])


@pytest.mark.parametrize("precision", [p for p in Precision if p is not Precision.FP32])
def test_every_reduced_precision_shows(make_engine, tiny, reference, precision):
    images, logits = reference
    for device in ("cpu", "cuda:0"):
        step = built(make_engine("null", precision, device=device, cost_s=0), tiny, images[:2])
        assert 15 < sqnr_db(step.output(), logits[:2]) < 100


@pytest.mark.parametrize(("error", "expected_db"), [(0.1, 20), (0.001, 60)])
def test_an_error_has_the_size_it_was_asked_for(make_engine, tiny, reference, error, expected_db):
    images, logits = reference
    step = built(make_engine("null", cost_s=0, error=error), tiny, images[:2])
    assert sqnr_db(step.output(), logits[:2]) == pytest.approx(expected_db, abs=0.5)


@pytest.mark.parametrize("place", ["receipt", "load", "compile", "bind"])
def test_fails_where_it_is_told(make_engine, tiny, reference, place):
    engine = make_engine("null", fail="crash", fail_at=place)
    calls = {
        "receipt": engine.receipt,
        "load": lambda: engine.load(tiny),
        "compile": lambda: engine.compile(reference[0][:2]),
        "bind": lambda: engine.bind(reference[0][:2], Boundary.HOST),
    }
    for name, call in calls.items():
        if name == place:
            with pytest.raises(RuntimeError, match="as it was told"):
                call()
            return
        call()


@pytest.mark.parametrize("depth", [1, 2])
def test_fails_after_batches_counted_over_all_steps(make_engine, tiny, reference, depth):
    engine = make_engine("null", cost_s=0, depth=depth, fail="memory", fail_after=3)
    step = built(engine, tiny, reference[0][:2])
    step.run()
    step.run()
    other = engine.bind(reference[0][:2], Boundary.HOST)
    other.run()
    with pytest.raises(MemoryError):
        other.run() if depth == 1 else other.start()


def test_can_refuse(make_engine):
    with pytest.raises(Unsupported):
        make_engine("null", fail="unsupported", fail_at="receipt").receipt()


def test_fewer_images_than_the_batch_are_repeated_in_their_order(make_engine, tiny, reference):
    images, logits = reference
    step = built(make_engine("null", batch_size=5, cost_s=0), tiny, images[:2])
    np.testing.assert_array_equal(step.output(), logits[[0, 1, 0, 1, 0]])


def test_a_batch_that_needs_more_memory_than_there_is_runs_out_of_it(make_engine, tiny, reference, clock):
    images = reference[0][:1]
    engine = make_engine("null", clock=clock, batch_size=4, cost_s=0, memory_bytes=100, image_bytes=20)
    built(engine, tiny, images)
    assert engine.peak_device_bytes() == 80
    engine.release()
    engine.resize(6)
    engine.compile(images)
    with pytest.raises(MemoryError) as raised:
        engine.bind(images, Boundary.HOST)
    assert shortage_of(raised.value) == Shortage(asked_bytes=120, free_bytes=100, total_bytes=100)
    engine.release()
    engine.resize(5)
    assert len(engine.bind(images, Boundary.HOST).output()) == 5 and engine.peak_device_bytes() == 100


def test_without_memory_options_its_memory_is_unknown(make_engine, tiny, reference):
    engine = make_engine("null", cost_s=0)
    built(engine, tiny, reference[0][:2])
    assert engine.peak_device_bytes() is None


def test_another_batch_size_has_another_cost(make_engine, tiny, reference, clock):
    engine = make_engine("null", clock=clock, batch_size=2, cost_s=0, per_image_s=0.5)
    built(engine, tiny, reference[0][:2]).run()
    assert clock.now() == 1
    engine.resize(8)
    engine.bind(reference[0][:2], Boundary.DEVICE).run()
    assert clock.now() == 5
