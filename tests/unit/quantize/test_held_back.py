import numpy as np
import pytest

from tensordyno.errors import DataError
from tensordyno.quantize.graph import open_graph
from tensordyno.quantize.held_back import HeldBack
from tensordyno.quantize.images import CalibrationImages, Slice
from tensordyno.quantize.methods.base import method
from tensordyno.quantize.observe import observe
from tensordyno.quantize.placement import place


@pytest.fixture
def court(digits):
    graph = open_graph(digits.prepared.onnx)
    reader = CalibrationImages(digits.trial(), digits.prepared.facts).read()
    return HeldBack(graph, observe(graph, place(graph).tensors, reader.rest(), 2), reader.held_back(), 2)


def test_one_layer_in_int8_does_less_harm_than_all(court):
    whole = place(court.graph)
    everything = court.judge(whole, method("minmax"))
    assert 20 < everything.sqnr_db < 60 and everything.agreement > 0.95 and everything.drop is not None
    for layer in whole.layers:
        alone = court.judge(place(court.graph, only=(layer,)), method("minmax"))
        assert alone.sqnr_db > everything.sqnr_db


def test_a_threshold_that_is_too_small_is_seen(court):
    clipped = court.judge(place(court.graph), lambda found: found.largest / 20)
    assert clipped.sqnr_db < 10


def test_the_first_images_can_judge_alone(court):
    assert court.images == 60
    few = court.judge(place(court.graph), method("minmax"), most=4)
    assert few.agreement in (0.0, 0.25, 0.5, 0.75, 1.0)
    assert few.sqnr_db != court.judge(place(court.graph), method("minmax")).sqnr_db


def test_nobody_to_judge(court):
    with pytest.raises(DataError) as refused:
        HeldBack(court.graph, {}, Slice(np.empty((0, 1, 8, 8), np.float32), None), 2)
    assert refused.value.slug == "too-few-to-compare"
