"""Every configuration's throughput relative to one chosen engine in FP32, with intervals."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from tensordyno.analysis.baseline import Relative, bursts_of, chosen_baseline, references, relative
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
    mark_value,
    panel_names,
    rounded,
    tooltips,
)
from tensordyno.figures.style import engine_scale
from tensordyno.store.reader import Run

SHAPE = Shape(columns=3, width=180, margin=160)


class EngineBars(Figure):
    """How much faster than what you run today."""

    title = "Throughput relative to the baseline"
    how_to_read = (
        "Longer is faster: 2× does twice the images per second of the baseline, the dashed line. Thin "
        "lines are 95 % intervals of the ratio; a bar whose line reaches 1× is not faster for certain."
    )

    def data(self, run: Run, scores: Sequence[Score]) -> FigureData | Empty:
        """One row a measured trial that has a reference, fastest first, one panel a batch size."""
        baseline = chosen_baseline(run, scores)
        found = relative(scores, bursts_of(run), baseline) if baseline else {}
        if not found:
            return Empty("No two configurations share a network and a batch size with a valid FP32 baseline.")
        labels = Labels(scores)
        rows = _rows(scores, found, labels, {s.trial for s in references(scores, baseline)})
        compared = {r["panel"] for r in rows if r["low"] is not None}
        kept, note = first_panels([r for r in rows if r["panel"] in compared], "panels (network and batch)")
        columns = {
            "panel": "Network, batch",
            "series": "Configuration",
            "ratio": f"Times {baseline} fp32",
            "low": "95 % from",
            "high": "to",
            "verdict": "Verdict",
        }
        note = f"The baseline (1×) is {baseline} fp32. {note}".strip()
        return FigureData(rows=kept, columns=columns, finding=_finding(kept, baseline), note=note)

    def chart(self, data: FigureData) -> Spec:
        """Sorted bars from zero with the ratio written at the end of each."""
        alt = altair()
        scale = engine_scale([(r["engine"], r["engine_name"]) for r in data.rows])
        draw = partial(_panel, alt, data.rows, scale)
        return arrange(build_panels(panel_names(data.rows), draw), data.rows, SHAPE, self.title)


def _rows(
    scores: Sequence[Score], found: Mapping[str, Relative], labels: Labels, baselines: set[str]
) -> list[Row]:
    shown = [s for s in scores if s.trial in found or s.trial in baselines]
    order = in_order(labels.panel(s) for s in shown)
    rows = [_row(s, found.get(s.trial), labels) for s in shown]
    place = {s.trial: (order.index(labels.panel(s)), s.batch_size) for s in shown}
    return sorted(rows, key=lambda r: (*place[r["trial"]], -r["ratio"], r["series"]))


def _row(score: Score, found: Relative | None, labels: Labels) -> Row:
    interval = found.ratio.interval if found else None
    ratio = interval.value if interval else 1.0
    return {
        "trial": score.trial,
        "panel": f"{labels.panel(score)}, batch {score.batch_size}",
        "series": labels.series(score),
        "engine": labels.engine(score),
        "engine_name": score.engine_name,
        "ratio": rounded(ratio),
        "low": rounded(interval.low) if interval else None,
        "high": rounded(interval.high) if interval else None,
        "edge": rounded(max(ratio, interval.high) if interval else ratio),
        "label": f"{ratio:.2f}×" if found else "baseline",
        "verdict": score.verdict.value,
    }


def _finding(rows: Sequence[Row], baseline: str) -> str:
    best = max(rows, key=lambda r: r["ratio"])
    if best["low"] is None:
        return f"Nothing is faster than {baseline} fp32."
    return (
        f"The largest ratio is {best['label']} ({best['low']:.2f}-{best['high']:.2f}), "
        f"{best['series']} on {best['panel']}."
    )


def _panel(alt: Any, rows: Sequence[Row], scale: dict[str, list[str]], name: str) -> Any:
    mine = [r for r in rows if r["panel"] == name]
    top = rounded(1.28 * max(1.0, *(r["edge"] for r in mine)), 3)  # room for the ratio at the end
    y = alt.Y("series:N", sort=[r["series"] for r in mine], title=None, axis=alt.Axis(labelLimit=160))
    base = alt.Chart(alt.NamedData(name=DATA)).transform_filter(alt.datum.panel == name).encode(y=y)
    x = alt.X(
        "ratio:Q",
        title=None,
        scale=alt.Scale(domain=[0, top], nice=False),
        axis=alt.Axis(tickCount=4, labelExpr="datum.value + '×'"),
    )
    tip = tooltips(
        alt,
        series="configuration",
        ratio="times the baseline #",
        low="95 % from #",
        high="to #",
        verdict="verdict",
    )
    bars = base.mark_bar(height={"band": 0.62}).encode(
        x=x, color=alt.Color("engine:N", scale=alt.Scale(**scale), legend=None), tooltip=tip
    )
    doubt = base.mark_rule(style="interval").encode(x=alt.X("low:Q", title=None), x2="high:Q")
    end = base.encode(x=alt.X("edge:Q", title=None), text="label:N")
    halo = end.mark_text(align="left", dx=5, style=["value", "halo"])
    text = end.mark_text(align="left", dx=5, style="value")
    line = mark_value(alt, name, "x", 1.0, title=None)
    return alt.layer(bars, line, doubt, halo, text).properties(
        width=SHAPE.width, height={"step": 23}, title=name
    )


MEMBER = EngineBars()
