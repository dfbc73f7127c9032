"""Layers by their sensitivity."""

from dataclasses import replace as changed

from made_int8_run import KEPT, LAYERS
from msgspec.structs import replace

from tensordyno.figures import layer_sensitivity as module
from tensordyno.figures.base import Empty
from tensordyno.figures.layer_sensitivity import MEMBER


def test_layers_come_most_sensitive_first_and_the_kept_are_marked(int8):
    data = MEMBER.data(*int8)
    assert len(data.rows) == len(LAYERS)  # once, though six trials carry the ranking
    values = [r["sqnr_db"] for r in data.rows]
    assert values == sorted(values)
    assert data.rows[0]["layer"] == KEPT and data.rows[0]["label"] == "27.3 dB, kept in FP32"
    assert [r["layer"] for r in data.rows if r["placed"] == "kept in FP32"] == [KEPT]
    assert data.finding == (f"resnet8_fashion: {KEPT} is the most sensitive (27.3 dB); 1 of 10 kept in FP32.")


def test_a_deep_network_is_cut_to_its_most_sensitive_layers(int8, monkeypatch):
    monkeypatch.setattr(module, "MOST_LAYERS", 4)
    data = MEMBER.data(*int8)
    assert len(data.rows) == 4 and data.rows[0]["layer"] == KEPT
    assert data.note == "Showing the 4 most sensitive of up to 10 layers."


def test_the_fullest_ranking_of_a_network_is_shown(int8):
    run, scores = int8
    first, *rest = [o for o in run.outcomes if o.calibration and o.calibration.sensitivity]
    short = replace(first.calibration, sensitivity=first.calibration.sensitivity[:2])
    partly = changed(run, outcomes=(replace(first, calibration=short), *rest))
    assert len(MEMBER.data(partly, scores).rows) == len(LAYERS)


def test_nothing_ranked_is_left_out(untimed):
    assert MEMBER.data(*untimed) == Empty("No layer was measured alone.", expected=False)
