"""What figures over batch sizes share."""

import altair

from tensordyno.figures.labels import Labels
from tensordyno.figures.sweeps import Sweep, batch_axis, identity


def test_a_row_says_which_build_it_is_about(rows):
    row = identity(rows[0], Labels(rows))
    assert row == {
        "panel": "resnet50",
        "series": "torch fp32",
        "engine": "torch",
        "precision": "fp32",
        "batch": 1,
    }


def test_batches_are_spaced_by_their_halves_and_named_where_there_is_room():
    x = batch_axis(altair, [4, 1, 2, 4]).to_dict()
    assert x["scale"]["type"] == "log" and x["scale"]["base"] == 2
    assert x["axis"]["values"] == [1, 2, 4] and x["axis"]["labelOverlap"] == "parity"


def row(engine, precision, batch):
    return {"panel": "net", "series": f"{engine} {precision}", "engine": engine} | {
        "precision": precision,
        "batch": batch,
        "speed": 1.0,
    }


def drawn(rows, **kinds):
    sweep = Sweep(altair, rows)
    y = altair.Y("speed:Q")
    return [
        layer.to_dict() for layer in sweep.line(sweep.base("net", "isValid(datum.speed)"), y, [], **kinds)
    ]


def test_one_engine_needs_no_marks_of_its_own():
    line, points = drawn([row("torch", p, b) for p in ("fp16", "fp32") for b in (1, 2)])
    assert line["encoding"]["color"]["scale"]["domain"] == ["fp32", "fp16"]
    assert "shape" not in points["encoding"]


def test_several_engines_have_marks():
    _, points = drawn([row(e, "fp32", b) for e in ("torch", "forge") for b in (1, 2)])
    assert points["encoding"]["shape"]["scale"]["domain"] == ["torch", "forge"]


def test_a_dashed_line_has_no_marks():
    (line,) = drawn([row("torch", "fp32", 1)], dashed=True)
    assert line["mark"]["strokeDash"]


def test_a_name_with_quotes_stays_a_name():
    base = Sweep(altair, [row("torch", "fp32", 1)]).base("it's", "true")
    text = base.mark_line().to_dict()["transform"][0]["filter"]
    assert text == 'datum.panel === "it\'s" && true'
