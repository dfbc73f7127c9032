"""Accuracy on labelled images."""

import pytest

from tensordyno.analysis.scores import scores
from tensordyno.figures.accuracy import MEMBER
from tensordyno.figures.base import Empty


def test_one_row_a_configuration_in_percent_best_first(run, rows):
    data = MEMBER.data(run, rows)
    assert len(data.rows) == 7  # four engines in fp32, three in bf16, whatever the batch size
    values = [r["top1"] for r in data.rows]
    assert values == sorted(values, reverse=True)
    assert values[0] == pytest.approx(90.9) and data.rows[0]["label"] == "90.90 %"
    assert all(r["low"] < r["top1"] < r["high"] for r in data.rows)
    assert data.finding == "lenet5_fashion: from 90.75 % to 90.90 %."


def test_random_weights_have_no_accuracy(small_run):
    expected = Empty("No network was run on labelled images with trained weights.")
    assert MEMBER.data(small_run, scores(small_run)) == expected
