"""How the time of single batches spreads: raw samples, thinned, with their percentiles."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from tensordyno.analysis.scores import Score, kept_latencies
from tensordyno.figures.base import Empty, Figure, FigureData, Row, Spec
from tensordyno.figures.labels import Labels
from tensordyno.figures.panels import (
    DATA,
    Shape,
    altair,
    arrange,
    build_panels,
    first_panels,
    layered,
    log_axis,
    panel_names,
    rounded,
    tooltips,
)
from tensordyno.figures.style import engine_scale
from tensordyno.store.reader import Run
from tensordyno.units import significant, with_unit

SHAPE = Shape(columns=2, width=300, margin=190)
MOST_TICKS = 81  # a configuration; more cannot be told apart
MOST_ROWS = 2500  # of the whole figure


class LatencyDistribution(Figure):
    """Whether a typical batch tells the whole story."""

    title = "Distribution of latency"
    how_to_read = (
        "Further left is better, narrow is steadier. Faint ticks are single batches (evenly chosen among "
        "all, slowest and fastest included), the strong tick is the median, whose value is written, the "
        "diamond the 99th percentile where enough batches were timed."
    )

    def data(self, run: Run, scores: Sequence[Score]) -> FigureData | Empty:
        """A row a configuration with its percentiles and ticks, at the smallest batch size of a panel.

        The ticks are a list `ms` in it: a row a tick would be most of a large report.
        """
        labels = Labels(scores)
        timed = [s for s in scores if s.verdict.is_measured and s.latency_p50_s]
        if not timed:
            return Empty("No latency was measured.")
        least: dict[str, int] = {}
        for score in timed:
            panel = labels.panel(score)
            least[panel] = min(least.get(panel, score.batch_size), score.batch_size)
        order = list(least)
        chosen = [s for s in timed if s.batch_size == least[labels.panel(s)]]
        chosen.sort(key=lambda s: (order.index(labels.panel(s)), _median(s), s.trial))
        shown, note = first_panels([_summary(s, labels) for s in chosen])
        most = max(21, min(MOST_TICKS, MOST_ROWS // len(shown)))
        strips = [_ticks(run, row, most) for row in shown]
        told = zip(shown, strips, strict=True)
        rows = tuple({**row, "edge_ms": _edge(row, strip), "ms": strip} for row, strip in told)
        columns = {
            "panel": "Network, batch",
            "series": "Configuration",
            "p50_ms": "p50, ms",
            "p90_ms": "p90, ms",
            "p99_ms": "p99, ms",
            "worst_ms": "Worst, ms",
            "batches": "Batches timed",
        }
        return FigureData(rows=rows, table=shown, columns=columns, finding=_finding(shown), note=note)

    def chart(self, data: FigureData) -> Spec:
        """Strips of ticks on a logarithmic axis."""
        alt = altair()
        summaries = data.table or data.rows
        scale = engine_scale([(r["engine"], r["engine_name"]) for r in summaries])
        draw = partial(_panel, alt, summaries, scale)
        return arrange(build_panels(panel_names(summaries), draw), data.rows, SHAPE, self.title)


def _median(score: Score) -> float:
    return score.latency_p50_s.value if score.latency_p50_s else 0.0


def _summary(score: Score, labels: Labels) -> Row:
    def ms(interval: Any) -> float | None:
        return rounded(1e3 * interval.value) if interval else None

    return {
        "trial": score.trial,
        "panel": f"{labels.panel(score)}, batch {score.batch_size}",
        "series": labels.series(score),
        "engine": labels.engine(score),
        "engine_name": score.engine_name,
        "p50_ms": ms(score.latency_p50_s),
        "p90_ms": ms(score.latency_p90_s),
        "p99_ms": ms(score.latency_p99_s),
        "worst_ms": rounded(1e3 * (score.latency_worst_s or 0)),
        "batches": score.batches,
        "label": with_unit(_median(score), "s"),
    }


def _ticks(run: Run, summary: Row, most: int) -> list[float]:
    """Milliseconds: evenly spaced order statistics of the kept batches, smallest and largest included."""
    outcome = next(o for o in run.outcomes if o.trial.id == summary["trial"])
    samples = np.sort(kept_latencies(outcome, run.latencies_s(outcome.trial.id)))
    count = min(most, len(samples))
    places = np.unique(np.linspace(0, len(samples) - 1, count).round().astype(int))
    return [rounded(1e3 * float(samples[i]), 4) or 0.0 for i in places]


def _edge(summary: Row, strip: Sequence[float]) -> float:
    """Where the label stands: right of nearly all ticks, a far outlier apart."""
    nearly_all = strip[round(0.95 * (len(strip) - 1))]
    return float(max(nearly_all, summary["p99_ms"] or 0.0))


def _finding(rows: Sequence[Row]) -> str:
    spread = [(r["worst_ms"] / r["p50_ms"], r) for r in rows if r["p50_ms"]]
    ratio, row = max(spread, key=lambda pair: pair[0])
    return (
        f"Of these, {row['series']} on {row['panel']} spreads most: its worst batch took "
        f"{significant(ratio)} times the median of {row['label']}."
    )


def _panel(alt: Any, rows: Sequence[Row], scale: dict[str, list[str]], name: str) -> Spec:
    mine = [r for r in rows if r["panel"] == name]
    fastest = min(r["p50_ms"] for r in mine)
    domain, ticks = log_axis(fastest, max(r["worst_ms"] for r in mine), 1.35)
    x_axis = {
        "title": "latency of one batch, ms",
        "scale": alt.Scale(type="log", nice=False, domain=domain),
        "axis": alt.Axis(values=ticks),
    }
    y = alt.Y("series:N", sort=[r["series"] for r in mine], title=None, axis=alt.Axis(labelLimit=180))
    colour = alt.Color("engine:N", scale=alt.Scale(**scale), legend=None)
    base = alt.Chart(alt.NamedData(name=DATA)).transform_filter(alt.datum.panel == name).encode(y=y)
    tip = tooltips(
        alt,
        series="configuration",
        p50_ms="p50, ms #",
        p90_ms="p90, ms #",
        p99_ms="p99, ms #",
        worst_ms="worst, ms #",
        batches="batches timed",
    )
    samples = (
        base.transform_flatten(["ms"])
        .mark_tick(thickness=1, opacity=0.35, size=12)
        .encode(x=alt.X("ms:Q", **x_axis), color=colour)
    )
    median = base.mark_tick(thickness=3, size=18).encode(x="p50_ms:Q", color=colour, tooltip=tip)
    far = base.mark_point(shape="diamond", filled=True, size=60, opacity=1).encode(
        x="p99_ms:Q", color=colour, tooltip=tip
    )
    halo = base.mark_text(align="left", dx=9, style=["value", "halo"]).encode(x="edge_ms:Q", text="label:N")
    text = base.mark_text(align="left", dx=9, style="value").encode(x="edge_ms:Q", text="label:N")
    return layered(samples, median, far, halo, text, width=SHAPE.width, height={"step": 24}, title=name)


MEMBER = LatencyDistribution()
