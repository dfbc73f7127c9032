"""The figures of a device comparison: the ratios of each network, throughput by batch size."""

import json
from importlib.resources import files

import pytest
from made_gpu_run import GpuStory, make_gpu_run
from msgspec.structs import replace

from tensordyno.analysis.compare_devices import compare_devices
from tensordyno.analysis.scores import scores
from tensordyno.figures import compared_batches, compared_ratios
from tensordyno.figures.base import FIGURES, Empty
from tensordyno.figures.compared import Panels, side_scale
from tensordyno.store.reader import read_run

MEMBERS = (compared_ratios.MEMBER, compared_batches.MEMBER)
SPEEDS = {"NVIDIA T4": 0.08, "NVIDIA H200": 1.0, "NVIDIA A100": 0.42}


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """A comparison of runs on these devices, with changes to their story."""

    def make(*names, **changes):
        asked = {"batches": (1, 8, 64), "counts": (1,), "gpus": 1, "out_of_memory": False} | changes
        root = tmp_path_factory.mktemp("compared")
        runs = [
            read_run(
                make_gpu_run(
                    root / str(i), GpuStory(name=name, speed=SPEEDS[name], host=f"host-{i}", **asked)
                )
            )
            for i, name in enumerate(names)
        ]
        return compare_devices(runs, [scores(run) for run in runs])

    return make


@pytest.fixture(scope="module")
def three(compared):
    return compared(*SPEEDS)


def test_a_bar_a_network_and_device_at_the_largest_batch_size(three):
    rows = compared_ratios.MEMBER.data(three).rows
    assert len(rows) == 4 * 2 * 2  # arithmetics, networks, devices besides the first
    assert {r["batch"] for r in rows} == {64}
    assert {r["panel"] for r in rows} == {
        "torch fp32",
        "torch fp16",
        "torch-compile fp32",
        "torch-compile fp16",
    }
    for row in rows:
        expected = SPEEDS[row["side"]] / SPEEDS["NVIDIA T4"]
        assert row["ratio"] == pytest.approx(expected, rel=0.01)
        assert row["low"] < row["ratio"] < row["high"] == row["edge"]
        assert row["images_per_s"] / row["first"] == pytest.approx(row["ratio"], rel=0.01)


def test_one_engine_needs_no_name(compared):
    found = compared("NVIDIA T4", "NVIDIA H200", engines=("torch",))
    assert {r["panel"] for r in compared_ratios.MEMBER.data(found).rows} == {"fp32", "fp16"}


def test_a_device_has_one_colour_in_both_figures(three):
    scale = dict(zip(*side_scale(three).values(), strict=True))
    assert len(set(scale.values())) == 3
    for member in MEMBERS:
        assert {(r["side"], r["colour"]) for r in member.data(three).rows} <= set(scale.items())


def test_a_line_a_device_over_the_batch_sizes(three):
    data = compared_batches.MEMBER.data(three)
    assert len(data.rows) == 8 * 3 * 3  # panels, devices, batch sizes
    for panel in {r["panel"] for r in data.rows}:
        mine = [r for r in data.rows if (r["panel"], r["side"]) == (panel, "NVIDIA H200")]
        assert [r["batch"] for r in mine] == [1, 8, 64]
    assert "resnet50, torch fp32: at most NVIDIA T4 " in data.finding


def test_one_batch_size_is_no_line(compared):
    found = compared("NVIDIA T4", "NVIDIA H200", batches=(8,))
    assert compared_batches.MEMBER.data(found) == Empty(
        "No network was measured at two or more batch sizes.", expected=False
    )


def test_the_number_of_devices_is_named_where_it_differs(compared):
    found = compared("NVIDIA T4", "NVIDIA H200", counts=(1, 2), gpus=2, engines=("torch",))
    networks = {r["network"] for r in compared_ratios.MEMBER.data(found).rows}
    assert networks == {f"{model}, {n}" for model in ("resnet50", "vgg16") for n in ("1 device", "2 devices")}
    assert Panels(found.contests).arithmetic(found.contests[0]) == "fp32"


def test_nothing_valid_on_two_sides(three):
    alone = tuple(replace(c, standings=(c.standings[0], None, None)) for c in three.contests)
    found = compared_ratios.MEMBER.data(replace(three, contests=alone))
    assert found == Empty("No configuration is VALID on two of the devices.")


@pytest.mark.parametrize("member", MEMBERS)
def test_what_every_figure_promises(member, three):
    data = member.data(three)
    assert member.how_to_read.endswith(".") and data.finding.endswith(".")
    json.dumps(data.rows, allow_nan=False)
    assert all(set(data.columns) <= set(row) for row in data.told)
    spec = member.chart(data)
    assert spec == member.chart(data) and "config" not in spec
    assert spec["usermeta"].keys() == {"columns", "width", "margin"}
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((files("altair") / "vegalite/v6/schema/vega-lite-schema.json").read_text())
    jsonschema.validators.validator_for(schema)(schema).validate({**spec, "datasets": {}})


def test_they_are_no_figures_of_one_run():
    assert not {name for name in FIGURES.names() if name.startswith("compared")}
