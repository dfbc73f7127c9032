"""Throughput a watt and energy of an image."""

import pytest
from msgspec.structs import replace

from tensordyno.analysis.scores import scores
from tensordyno.figures.base import Empty
from tensordyno.figures.efficiency import MEMBER


@pytest.fixture(scope="module")
def gpu_rows(gpu_run):
    """With energies that are known beforehand."""
    watts = {"fp32": 500.0, "fp16": 600.0}
    return [
        replace(
            s,
            joules_per_image=watts[s.precision] / s.images_per_s.value,
            net_joules_per_image=(watts[s.precision] - 100) / s.images_per_s.value,
            images_per_joule=s.images_per_s.value / watts[s.precision],
            power_w=watts[s.precision],
            energy_method="counter",
        )
        if s.images_per_s
        else s
        for s in scores(gpu_run)
    ]


def test_images_a_joule_and_joules_an_image_are_each_other_s_inverse(gpu_run, gpu_rows):
    rows = MEMBER.data(gpu_run, gpu_rows).rows
    assert len(rows) == sum(s.joules_per_image is not None for s in gpu_rows)
    for row in rows:
        assert row["images_per_joule"] * row["millijoules"] == pytest.approx(1000, rel=1e-3)
        assert row["net_millijoules"] < row["millijoules"]


def test_the_best_is_named_with_both_numbers(gpu_run, gpu_rows):
    found = MEMBER.data(gpu_run, [s for s in gpu_rows if s.devices == 1])
    assert found.finding.startswith("resnet50: at best ")
    assert "images/s/W, " in found.finding and "torch-compile fp16 at batch 256" in found.finding


def test_a_device_whose_idle_power_is_unknown_has_no_dashed_line_but_is_drawn(gpu_run, gpu_rows):
    blind = [replace(s, net_joules_per_image=None, images_per_joule=None) for s in gpu_rows]
    found = MEMBER.data(gpu_run, blind)
    assert all(r["net_millijoules"] is None for r in found.rows)
    assert found.rows[0]["images_per_joule"] == pytest.approx(1000 / found.rows[0]["millijoules"], rel=1e-3)
    assert len(MEMBER.chart(found)["concat"]) == 12


def test_idle_power_above_the_power_at_work_is_not_drawn(gpu_run, gpu_rows):
    odd = [replace(s, net_joules_per_image=-0.001 if s.joules_per_image else None) for s in gpu_rows]
    panel = MEMBER.chart(MEMBER.data(gpu_run, odd))["concat"][1]
    assert panel["title"].endswith(": mJ an image")
    assert panel["layer"][-1]["encoding"]["y"]["scale"]["domain"][0] > 0


def test_without_a_sensor_nothing_is_said(run, rows):
    assert MEMBER.data(run, rows) == Empty("No trial's energy is known.", expected=False)


@pytest.fixture
def bars(gpu_run, gpu_rows):
    """A batch size for each precision: bars."""
    chosen = {"fp32": 8, "fp16": 256}
    rows = [replace(s, boundary="device") for s in gpu_rows if s.batch_size == chosen[s.precision]]
    return MEMBER.data(gpu_run, [*rows, replace(rows[0], boundary="host", joules_per_image=None)])


def test_without_a_sweep_each_build_has_a_bar(bars):
    (panel,) = MEMBER.chart(bars)["concat"]
    whole, net, words = panel["layer"]
    assert whole["mark"]["type"] == net["mark"]["type"] == "bar"
    assert net["encoding"]["x"]["field"] == "net_millijoules"
    assert words["encoding"]["text"]["field"] == "words"
    assert "pale end" in bars.how_to_read
    first = bars.rows[0]
    assert first["bar"] == "resnet50, 1 GPU: torch fp32, batch 8"  # the boundary is the same for all of them
    assert first["words"].endswith("images/s/W") and " mJ, " in first["words"]


def test_bars_at_one_batch_size_do_not_repeat_it_and_unknown_idle_power_has_no_bar(gpu_run, gpu_rows):
    alike = [replace(s, net_joules_per_image=None) for s in gpu_rows if s.batch_size == 8]
    found = MEMBER.data(gpu_run, alike)
    assert not any("batch" in r["bar"] for r in found.rows)
    assert len(MEMBER.chart(found)["concat"][0]["layer"]) == 2


def test_more_bars_than_a_page_has_room_for_are_told(gpu_run, gpu_rows):
    many = [replace(s, model=f"net{i}") for i in range(9) for s in gpu_rows if s.batch_size == 8]
    found = MEMBER.data(gpu_run, many)
    assert len(found.rows) == 40 and found.note.startswith("Showing the first 40 of ")
