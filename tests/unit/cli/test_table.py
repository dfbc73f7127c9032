import msgspec
import pytest
from made_int8_run import make_accuracy_run, make_int8_run
from made_run import make_run

from tensordyno.analysis.scores import scores
from tensordyno.cli.table import console, print_results
from tensordyno.records.calibration import Calibration
from tensordyno.store.reader import read_run
from tensordyno.timing.intervals import Interval


def test_what_lies_in_brackets_is_printed_as_it_is(capsys):
    console().print("crashed: [/usr/lib/libx.so] said :boom: [bold]")
    assert capsys.readouterr().out == "crashed: [/usr/lib/libx.so] said :boom: [bold]\n"


def test_results_name_every_trial_the_run_and_the_report(tmp_path, capsys):
    root = make_run(tmp_path / "run[1]")
    run = read_run(root)
    rows = scores(run)
    print_results(run, rows, root / "report" / "index.html")
    out = capsys.readouterr().out
    lines = [line for line in out.splitlines() if line.strip().startswith(("resnet50 ", "lenet5_fashion "))]
    assert len(lines) >= len(rows)
    assert "run[1]" in out and "index.html" in out
    for word in ("valid", "unstable", "invalid", "crashed", "skipped"):
        assert word in out


def printed(root, capsys, alter=lambda row: row):
    """What is said at the end of a run whose scores were altered."""
    run = read_run(root)
    print_results(run, tuple(alter(row) for row in scores(run)), None)
    return capsys.readouterr().out


def section(out, title):
    """The lines of one table."""
    return out.partition(title)[2].partition("\nRun:")[0].splitlines()


def test_a_choice_names_what_it_costs_in_right_answers(tmp_path, capsys):
    out = printed(make_int8_run(tmp_path / "run"), capsys)
    found = next(line for line in section(out, "Choose") if "points" in line)
    assert "top-1 -0.20 ±0.37 points" in found
    assert "Right answers beside fp32 on the same 2000 images" in out
    assert "90.50 → 90.30  -0.20 (-0.57 +0.17)" in out


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"top1_difference": None}, "its right answers were not counted"),
        ({"top1_difference": None, "weights": "random"}, ""),
    ],
)
def test_a_choice_whose_cost_is_not_known(tmp_path, capsys, change, says):
    root = make_int8_run(tmp_path / "run")
    out = "\n".join(
        section(printed(root, capsys, lambda row: msgspec.structs.replace(row, **change)), "Choose")
    )
    assert "points" not in out and ("not counted" in out) is bool(says)


def test_a_broken_int8_build_is_not_chosen_and_named(tmp_path, capsys):
    broken = Interval(value=-0.1, low=-0.12, high=-0.08)

    def spoil(row):
        return msgspec.structs.replace(row, top1_difference=broken) if row.precision == "int8" else row

    out = printed(make_int8_run(tmp_path / "run"), capsys, spoil)
    assert not any("int8" in line for line in section(out, "Choose"))
    assert "[int8-drop]" in out and "top-1 -10.00 points" in out


def test_right_answers_alone_show_no_empty_columns_of_speed(tmp_path, capsys):
    out = printed(make_accuracy_run(tmp_path / "run"), capsys)
    assert "images/s" not in out and "p99" not in out and "Choose" not in out
    assert "top-5" in out and "97.00 %" in out
    assert "calibrated" not in out  # all alike


def test_calibrations_that_differ_are_told_apart(tmp_path, capsys):
    studied = (Calibration(), Calibration(batches=1, method="minmax", seed=2))
    out = printed(make_accuracy_run(tmp_path / "run", studied, engines=("onnxruntime",)), capsys)
    assert "entropy 50x25" in out and "minmax 1x25, seed 2" in out
    assert "[few-calibration-images]" in out.replace("\n", " ")


def test_without_fp32_there_is_no_difference_to_show(tmp_path, capsys):
    out = printed(make_accuracy_run(tmp_path / "run", precisions=("int8",)), capsys)
    assert "no fp32" in out and "→" not in out
