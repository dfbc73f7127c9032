import numpy as np
import pytest

from tensordyno.clock import FakeClock

torch = pytest.importorskip("torch")


@pytest.fixture
def images(tiny):
    with np.load(tiny.reference) as stored:
        return stored["images"][:2]


def loaded(engine, tiny):
    engine.receipt()
    engine.load(tiny)
    return engine


def test_auto_keeps_the_faster_layout_and_tells_both_times(make_engine, tiny, images):
    clock = FakeClock()
    engine = loaded(make_engine("torch", clock=clock), tiny)
    forward = engine.module.forward

    def slower_in_channels_last(batch):
        clock.sleep(0.25 if batch.is_contiguous() else 0.5)
        return forward(batch)

    engine.module.forward = slower_in_channels_last
    engine.compile(images)
    told = engine.choices()["layout"]
    assert told == "contiguous (best of a batch: channels-last 500 ms, contiguous 250 ms)"
    assert engine.module.first.weight.is_contiguous()


@pytest.mark.parametrize("layout", ["channels-last", "contiguous"])
def test_a_layout_asked_for_is_not_measured(make_engine, tiny, images, layout):
    engine = loaded(make_engine("torch", layout=layout), tiny)
    engine.compile(images)
    assert engine.choices() == {"layout": f"{layout} (asked for)"}
    memory_format = {"channels-last": torch.channels_last, "contiguous": torch.contiguous_format}[layout]
    assert engine.module.second.weight.is_contiguous(memory_format=memory_format)


def test_weights_need_no_gradient_and_normalisation_is_frozen(make_engine, tiny, images):
    engine = loaded(make_engine("torch"), tiny)
    assert not engine.module.training
    assert not any(parameter.requires_grad for parameter in engine.module.parameters())


def test_memory_that_runs_out_while_building_is_a_memory_error(make_engine, tiny, images):
    engine = loaded(make_engine("torch"), tiny)
    engine.module.forward = lambda batch: torch.empty(2**50)
    with pytest.raises(MemoryError, match="allocate"):
        engine.compile(images)
