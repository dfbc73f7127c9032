"""INT8 throughput over FP32 of the same engine and network, by batch size."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from tensordyno.analysis.alike import Question, question
from tensordyno.analysis.baseline import bursts_of
from tensordyno.analysis.ratio import Ratio, throughput_ratio
from tensordyno.analysis.scores import Score
from tensordyno.figures.base import Empty, Figure, FigureData, Row, Spec
from tensordyno.figures.labels import Labels, in_order
from tensordyno.figures.panels import (
    DATA,
    Shape,
    altair,
    arrange,
    build_panels,
    first_panels,
    layered,
    mark_value,
    panel_names,
    rounded,
    spread,
    tooltips,
    when_picked,
)
from tensordyno.figures.style import engine_scale
from tensordyno.store.reader import Run
from tensordyno.vocabulary import Precision, Verdict

SHAPE = Shape(columns=2, width=330, margin=76, pick="engine")
NEAR = 0.08  # of the axis: labels closer than this would collide

Pair = tuple[Score, Score, Ratio]  # INT8, FP32, first over second


class Int8Speedup(Figure):
    """What INT8 buys in throughput, nothing else changed."""

    title = "INT8 throughput over FP32"
    how_to_read = (
        "Higher is faster: at 2× the same engine runs the same network twice as fast in INT8 as in FP32. "
        "The dashed line is FP32 itself; bars are 95 % intervals of the ratio."
    )

    def data(self, run: Run, scores: Sequence[Score]) -> FigureData | Empty:
        """One row an INT8 trial whose engine has a VALID FP32 trial at the same batch size."""
        timed = [s for s in scores if s.images_per_s and s.verdict.is_measured]
        if not any(s.precision == Precision.INT8 for s in timed):
            return Empty("No INT8 trial was timed.", expected=False)
        labels = Labels(scores)
        rows = [_row(pair, labels) for pair in _pairs(run, timed)]
        if not rows:
            return Empty("No INT8 trial has a valid FP32 trial of the same engine at the same batch size.")
        order = in_order(r["panel"] for r in rows)
        kept, note = first_panels(
            sorted(rows, key=lambda r: (order.index(r["panel"]), r["series"], r["batch"])), "networks"
        )
        columns = {
            "panel": "Network",
            "series": "Engine",
            "batch": "Batch",
            "ratio": "INT8 over FP32, times",
            "low": "95 % from",
            "high": "to",
            "int8": "INT8 images/s",
            "fp32": "FP32 images/s",
            "pairing": "Compared",
            "verdict": "Verdict",
        }
        return FigureData(rows=_labelled(kept), columns=columns, finding=_finding(kept), note=note)

    def chart(self, data: FigureData) -> Spec:
        """A line an engine over the batch sizes, the last ratio written beside its end."""
        alt = altair()
        scale = engine_scale([(r["engine"], r["engine_name"]) for r in data.rows])
        draw = partial(_panel, alt, data.rows, scale)
        return arrange(build_panels(panel_names(data.rows), draw), data.rows, SHAPE, self.title)


def _pairs(run: Run, timed: Sequence[Score]) -> Iterable[Pair]:
    """Interleaved trials are paired by round, others by their means; `analysis.ratio` decides."""
    bursts = bursts_of(run)
    references = {_place(s): s for s in timed if s.precision == Precision.FP32 and s.verdict is Verdict.VALID}
    for score in timed:
        reference = references.get(_place(score))
        if score.precision == Precision.INT8 and reference:
            ratio = throughput_ratio(bursts[score.trial], bursts[reference.trial])
            if ratio:
                yield score, reference, ratio


def _place(score: Score) -> tuple[Question, str, int, str, int | None]:
    return question(score), score.engine, score.batch_size, score.allocator, score.threads


def _row(pair: Pair, labels: Labels) -> Row:
    score, reference, ratio = pair
    assert score.images_per_s is not None
    assert reference.images_per_s is not None
    calibration = labels.calibration(score)
    return {
        "panel": labels.panel(score),
        "series": f"{labels.engine(score)}{f' ({calibration})' if calibration else ''}",
        "engine": labels.engine(score),
        "engine_name": score.engine_name,
        "batch": score.batch_size,
        "ratio": rounded(ratio.interval.value),
        "low": rounded(ratio.interval.low),
        "high": rounded(ratio.interval.high),
        "int8": rounded(score.images_per_s.value, 4),
        "fp32": rounded(reference.images_per_s.value, 4),
        "pairing": "by round" if ratio.method == "paired" else "by means",
        "verdict": score.verdict.value,
    }


def _labelled(rows: Sequence[Row]) -> tuple[Row, ...]:
    """The rows with `label`, the ratio at the end of each line, and `label_y`, where it hits no other's."""
    ends: dict[tuple[str, str], Row] = {}
    for row in sorted(rows, key=lambda r: r["batch"]):
        ends[row["panel"], row["series"]] = row
    places: dict[int, float] = {}
    for panel in panel_names(rows):
        mine = [row for (at, _), row in ends.items() if at == panel]
        apart = NEAR * max(r["high"] for r in rows if r["panel"] == panel)
        heights = spread([row["ratio"] for row in mine], apart)
        places.update((id(row), height) for row, height in zip(mine, heights, strict=True))
    return tuple(
        {
            **row,
            "label": f"{row['ratio']:.2f}×" if id(row) in places else "",
            "label_y": rounded(places.get(id(row), row["ratio"]), 4),
        }
        for row in rows
    )


def _finding(rows: Sequence[Row]) -> str:
    parts = []
    for panel in panel_names(rows)[:4]:
        mine = [r for r in rows if r["panel"] == panel]
        most, least = (pick(mine, key=lambda r: r["ratio"]) for pick in (max, min))
        part = f"{panel}: {most['ratio']:.2f}× ({most['low']:.2f}-{most['high']:.2f}) at most, {_where(most)}"
        if least is not most:
            part += f"; {least['ratio']:.2f}× at least, {_where(least)}"
        parts.append(part)
    return ". ".join(parts) + "."


def _where(row: Row) -> str:
    return f"{row['series']} at batch {row['batch']}"


def _panel(alt: Any, rows: Sequence[Row], scale: dict[str, list[str]], name: str) -> Spec:
    mine = [r for r in rows if r["panel"] == name]
    top = rounded(1.08 * max(1.0, *(r["high"] for r in mine)), 3)
    axis = alt.Axis(grid=False, labelAngle=0, labelOverlap=True)
    x = alt.X("batch:O", title="batch size", axis=axis, scale=alt.Scale(padding=0.5))
    y = alt.Y(
        "ratio:Q",
        title=None,
        scale=alt.Scale(domain=[0, top], nice=False),
        axis=alt.Axis(tickCount=5, labelExpr="datum.value + '×'"),
    )
    colour = alt.Color("engine:N", title=None, scale=alt.Scale(**scale))
    base = alt.Chart(alt.NamedData(name=DATA)).transform_filter(alt.datum.panel == name).encode(x=x)
    seen = base.encode(color=colour, opacity=when_picked(alt), detail="series:N")
    tip = tooltips(
        alt,
        series="engine",
        batch="batch size",
        ratio="INT8 over FP32 #",
        low="95 % from #",
        high="to #",
        int8="INT8 images/s #",
        fp32="FP32 images/s #",
        verdict="verdict",
    )
    lines = seen.mark_line(strokeWidth=2).encode(y=y)
    doubt = seen.mark_rule(strokeWidth=1.5).encode(y=alt.Y("low:Q", title=None), y2="high:Q")
    points = seen.mark_point(filled=True, size=55).encode(y=y, tooltip=tip)
    text = base.mark_text(align="left", dx=9, style="value").encode(
        y=alt.Y("label_y:Q", title=None), text="label:N"
    )
    line = mark_value(alt, name, "y", 1.0, title=None)
    return layered(lines, line, doubt, points, text, width=SHAPE.width, height=210, title=name)


MEMBER = Int8Speedup()
