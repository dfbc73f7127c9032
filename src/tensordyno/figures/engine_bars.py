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
    layered,
    mark_value,
    panel_names,
    rounded,
    tooltips,
)
from tensordyno.figures.style import engine_scale
from tensordyno.store.reader import Run
from tensordyno.vocabulary import Precision, Task

MOST_PANELS = 9
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
        labels = Labels(scores)
        every = _groups(scores, labels, baseline)
        groups = every if len(every) <= MOST_PANELS else _one_a_network(every, labels)
        shown = [score for group in groups[:MOST_PANELS] for score in group]
        rows = _rows(shown, relative(shown, bursts_of(run), baseline), labels, baseline)
        if not rows:
            reason = "No two configurations share a network and a batch size with a valid FP32 baseline."
            return Empty(reason, expected=bool(run.header.baseline) or _asked(scores, labels))
        note = f"The baseline (1×) is {baseline} fp32."
        if len(groups) < len(every):
            note += " Each network at its largest batch size with most configurations; all are in trials.csv."
        if len(groups) > MOST_PANELS:
            note += f" Showing the first {MOST_PANELS} of {len(groups):,} panels."
        columns = {
            "panel": "Network, batch",
            "series": "Configuration",
            "ratio": f"Times {baseline} fp32",
            "low": "95 % from",
            "high": "to",
            "verdict": "Verdict",
        }
        return FigureData(rows=rows, columns=columns, finding=_finding(rows, baseline), note=note)

    def chart(self, data: FigureData) -> Spec:
        """Sorted bars from zero with the ratio written at the end of each."""
        alt = altair()
        scale = engine_scale([(r["engine"], r["engine_name"]) for r in data.rows])
        draw = partial(_panel, alt, data.rows, scale)
        return arrange(build_panels(panel_names(data.rows), draw), data.rows, SHAPE, self.title)


def _asked(scores: Sequence[Score], labels: Labels) -> bool:
    """Whether something was to stand beside an FP32 build of its network and batch size."""
    found: dict[tuple[str, int], set[tuple[str, str]]] = {}
    for score in scores:
        if score.task != Task.ACCURACY:
            asked = labels.engine(score), score.precision
            found.setdefault((labels.panel(score), score.batch_size), set()).add(asked)
    return any(len(a) > 1 and any(p == Precision.FP32 for _, p in a) for a in found.values())


def _groups(scores: Sequence[Score], labels: Labels, baseline: str) -> list[list[Score]]:
    """Measured trials of one network and batch size, where one is the baseline and one is not."""
    known = {score.trial for score in references(scores, baseline)} if baseline else set()
    found: dict[tuple[str, int], list[Score]] = {}
    for score in scores:
        if score.verdict.is_measured:
            found.setdefault((labels.panel(score), score.batch_size), []).append(score)
    order = in_order(panel for panel, _ in found)
    keys = sorted(found, key=lambda key: (order.index(key[0]), key[1]))
    return [found[key] for key in keys if len(found[key]) > 1 and known & {s.trial for s in found[key]}]


def _one_a_network(groups: Sequence[list[Score]], labels: Labels) -> list[list[Score]]:
    """Of each network the batch size with most configurations, the largest of several."""
    found: dict[str, list[Score]] = {}
    for group in groups:
        kept = found.setdefault(labels.panel(group[0]), group)
        if len(group) >= len(kept):
            found[labels.panel(group[0])] = group
    return list(found.values())


def _rows(
    shown: Sequence[Score], found: Mapping[str, Relative], labels: Labels, baseline: str
) -> tuple[Row, ...]:
    """Panels in the order given, the fastest first in each; none without a single ratio."""
    known = {score.trial for score in references(shown, baseline)}
    rows = [_row(s, found.get(s.trial), labels) for s in shown if s.trial in found or s.trial in known]
    compared = in_order(row["panel"] for row in rows if row["low"] is not None)
    kept = [row for row in rows if row["panel"] in compared]
    order = in_order(row["panel"] for row in kept)
    return tuple(sorted(kept, key=lambda r: (order.index(r["panel"]), -r["ratio"], r["series"])))


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


def _panel(alt: Any, rows: Sequence[Row], scale: dict[str, list[str]], name: str) -> Spec:
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
    return layered(bars, line, doubt, halo, text, width=SHAPE.width, height={"step": 23}, title=name)


MEMBER = EngineBars()
