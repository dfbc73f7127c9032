"""The comparison table."""

from tensordyno.analysis.baseline import bursts_of, relative
from tensordyno.report.trial_table import tally, trial_table


def table_of(run, rows):
    return trial_table(rows, relative(rows, bursts_of(run), "onnxruntime"), "onnxruntime")


def test_every_trial_is_there_once(run, rows):
    assert sorted(r.trial for r in table_of(run, rows).rows) == sorted(s.trial for s in rows)


def test_order_is_network_then_measured_then_batch_then_speed(run, rows):
    shown = table_of(run, rows).rows
    resnet = [r for r in shown if r.trial.startswith("resnet50")]
    assert shown[: len(resnet)] == tuple(resnet)
    assert [r.trial for r in resnet[:2]] == ["resnet50.openvino.bf16.b1", "resnet50.torch.bf16.b1"]
    assert [bool(r.found) for r in resnet] == sorted((bool(r.found) for r in resnet), reverse=True)


def test_what_was_not_measured_has_a_reason_and_no_numbers(run, rows):
    for row in table_of(run, rows).rows:
        assert bool(row.found) == row.verdict.is_measured
        assert row.found or row.reason


def test_columns_nobody_filled_are_left_out(run, rows):
    titles = [h.title for h in table_of(run, rows).headings]
    assert "p99" not in titles and "Energy" not in titles
    assert titles[:5] == ["Network", "Engine", "Precision", "Batch", "Verdict"]
    assert {"Images/s", "p50", "× onnxruntime", "Top-1", "First result", "Bursts"} == set(titles[5:])


def test_cells_read_well_and_sort_by_value(run, rows):
    table = table_of(run, rows)
    row = next(r for r in table.rows if r.trial == "resnet50.torch.fp32.b8")
    cells = dict(zip([h.title for h in table.found], row.found, strict=True))
    assert cells["Images/s"].text.startswith("38.7 ±") and 38 < cells["Images/s"].key < 39
    assert cells["p50"].text == "208 ms" and 0.2 < cells["p50"].key < 0.21
    assert cells["× onnxruntime"].text.startswith("0.72× (0.7")
    assert cells["Top-1"].text == "–" and cells["Top-1"].key == -1
    assert cells["Bursts"].text == "5 (+1)"


def test_tally(rows):
    assert tally(rows) == "42 trials: 39 valid, 1 unstable, 1 invalid, 1 crashed; 6 skipped"
    assert tally(rows[:1]) == "1 trial: 1 valid"
    assert tally([]) == "0 trials"


def test_int8_shows_what_it_costs_and_sorts_by_it(int8):
    made = int8[2]
    titles = [h.title for h in made.trials.found]
    row = next(r for r in made.trials.rows if r.trial == "resnet8_fashion.openvino.int8.b8")
    cell = row.found[titles.index("Δ top-1")]
    assert cell.text == "−0.15" and 0 < cell.key < 1
    exact = next(r for r in made.trials.rows if r.trial == "resnet8_fashion.openvino.fp32.b8")
    assert exact.found[titles.index("Δ top-1")].key == -1


def test_right_answers_alone_fill_no_column_of_the_stopwatch(untimed, study):
    assert [h.title for h in untimed[2].trials.found] == ["Top-1", "Δ top-1"]
    precisions = {row.asked[2].text for row in study[2].trials.rows}
    assert len(precisions) == 97 and "int8 (mse, 500 images, 25 at a time, seed 1)" in precisions
