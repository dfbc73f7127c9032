"""Distribution of latency."""

import pytest

from tensordyno.analysis.scores import kept_latencies
from tensordyno.figures.latency_distribution import MEMBER, MOST_TICKS


def test_ticks_are_kept_batches_with_the_extremes(run, rows):
    data = MEMBER.data(run, rows)
    (ticks,) = [r["ms"] for r in data.rows if r["series"] == "torch fp32" and "resnet50" in r["panel"]]
    outcome = next(o for o in run.outcomes if o.trial.id == "resnet50.torch.fp32.b1")
    kept = 1e3 * kept_latencies(outcome, run.latencies_s(outcome.trial.id))
    assert len(kept) < len(run.latencies_s(outcome.trial.id))  # a contended burst was left out
    assert min(ticks) == pytest.approx(kept.min(), rel=1e-3)
    assert max(ticks) == pytest.approx(kept.max(), rel=1e-3)
    assert 2 < len(ticks) <= MOST_TICKS


def test_only_the_smallest_batch_size_of_a_panel_is_compared(run, rows):
    told = MEMBER.data(run, rows).told
    assert {r["panel"] for r in told} == {"resnet50, batch 1", "lenet5_fashion, batch 1"}
    assert "torch-compile bf16" not in {r["series"] for r in told if r["panel"].startswith("resnet50")}


def test_a_refused_percentile_is_unknown_and_not_zero(run, rows):
    (row,) = [r for r in MEMBER.data(run, rows).told if r["trial"] == "resnet50.torch.fp32.b1"]
    assert row["p99_ms"] is None and row["p50_ms"] > 0


def test_rows_are_sorted_by_their_median(run, rows):
    medians = [r["p50_ms"] for r in MEMBER.data(run, rows).told if r["panel"].startswith("lenet")]
    assert medians == sorted(medians)
