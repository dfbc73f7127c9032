"""Small multiples."""

import math
import sys
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensordyno.errors import MissingPackage
from tensordyno.figures import panels
from tensordyno.figures.panels import Shape, arrange, first_panels, layered, log_axis, rounded, spread


def test_rounding_keeps_five_digits_and_turns_the_unknown_into_none():
    assert rounded(123456.7) == 123460.0
    assert rounded(0.000123456) == 0.00012346
    assert rounded(None) is None
    assert rounded(math.nan) is None
    assert rounded(math.inf) is None


@given(st.floats(1e-6, 1e6), st.floats(1, 1e5))
def test_a_logarithmic_axis_covers_its_values_with_ticks_inside(low, factor):
    high = low * factor
    domain, ticks = log_axis(low, high)
    assert domain[0] < low and high < domain[1]
    assert all(domain[0] <= t <= domain[1] for t in ticks)
    assert ticks == sorted(set(ticks))
    assert len(ticks) >= 2


def test_too_many_panels_are_cut_and_the_reader_is_told():
    rows = [{"panel": f"m{i}"} for i in range(10) for _ in range(2)]
    kept, note = first_panels(rows, limit=3)
    assert {r["panel"] for r in kept} == {"m0", "m1", "m2"} and len(kept) == 6
    assert note == "Showing the first 3 of 10 panels; all are in trials.csv."
    assert first_panels(rows, limit=10) == (tuple(rows), "")


def test_panels_become_one_specification_with_data_and_shape():
    alt = panels.altair()
    unit = (
        alt.Chart(alt.NamedData(name=panels.DATA)).mark_bar().encode(x="a:Q", opacity=panels.when_picked(alt))
    )
    drawn = [layered(unit, width=100, height=50, title=name) for name in "pq"]
    spec = arrange(drawn, [{"a": 1}], Shape(columns=3, width=100, margin=20, pick="a"), "about")
    assert spec["columns"] == 2
    assert spec["usermeta"] == {"columns": 2, "width": 100, "margin": 20}
    assert spec["datasets"] == {"rows": [{"a": 1}]}
    assert spec["params"][0]["views"] == ["panel_0", "panel_1"]
    assert [p["layer"][0]["name"] for p in spec["concat"]] == ["panel_0", "panel_1"]


def test_twin_axes_are_independent():
    alt = panels.altair()
    unit = alt.Chart(alt.NamedData(name=panels.DATA)).mark_line().encode(y="a:Q")
    twin = layered(unit, unit, unit, width=1, height=1, title="", twin=True)
    assert [len(layer.get("layer", [0])) for layer in twin["layer"]] == [2, 1]
    assert twin["resolve"] == {"scale": {"y": "independent"}}


def test_a_missing_library_says_what_to_type(monkeypatch):
    monkeypatch.setitem(sys.modules, "altair", None)
    with pytest.raises(MissingPackage) as caught:
        panels.altair()
    assert "pip install 'tensordyno[report]'" in caught.value.line()


@given(st.lists(st.floats(-100, 100), max_size=12), st.floats(0.1, 10))
def test_labels_keep_their_distance_and_their_order(values, least):
    places = spread(values, least)
    pairs = sorted(zip(values, places, strict=True))
    assert all(b[1] - a[1] >= least - 1e-9 for a, b in pairwise(pairs))
    assert sum(places) == pytest.approx(sum(values), abs=1e-6)  # pushed up as much as down


def test_labels_with_room_stay_where_they_are():
    assert spread([3.0, 1.0, 2.0], 0.5) == [3.0, 1.0, 2.0]
    assert spread([1.0, 1.0], 1.0) == [0.5, 1.5]
