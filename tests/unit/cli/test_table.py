import re

import msgspec
import pytest
from made_gpu_run import GpuStory, make_gpu_run
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


def test_the_largest_batch_that_fits_is_told(tmp_path, capsys):
    story = GpuStory(engines=("torch",), batches=(8,), counts=(1,))
    out = printed(make_gpu_run(tmp_path / "run", story), capsys)
    (line,) = [line for line in section(out, "Largest batch that fits") if "3,392" in line]
    assert line.split()[:3] == ["vgg16", "torch", "fp32"]
    assert line.rstrip().endswith("batch 3,392 fits, 3,424 asks for 39.0 GiB more than is free")


def test_several_gpus_have_their_number_and_efficiency(tmp_path, capsys):
    asked = GpuStory(models=("resnet50",), engines=("torch",), batches=(256,), out_of_memory=False)
    out = printed(make_gpu_run(tmp_path / "run", asked), capsys)
    heading, *lines = [line for line in out.splitlines() if line.split()[:1] in (["model"], ["resnet50"])]
    assert heading.split()[3:5] == ["batch", "GPUs"] and "efficiency" in heading
    found = {tuple(line.split()[2:5]): line for line in lines if line.split()[1] == "torch"}
    assert {key[2] for key in found} == {"1", "2", "4"}
    assert re.search(r" 96\.\d ±0\.\d %", found["fp16", "256", "4"])
    assert found["fp16", "256", "1"].count("%") == 1  # of the throughput


def test_a_single_device_needs_no_column(tmp_path, capsys):
    asked = GpuStory(models=("resnet50",), engines=("torch",), counts=(1,), out_of_memory=False)
    out = printed(make_gpu_run(tmp_path / "run", asked), capsys)
    assert "GPUs" not in out and "efficiency" not in out
    cpu = GpuStory(models=("resnet50",), counts=(2,), device="cpu", gpus=0, out_of_memory=False)
    assert "devices" in printed(make_gpu_run(tmp_path / "cpu", cpu), capsys)


def test_choices_say_on_how_many_gpus(tmp_path, capsys):
    asked = GpuStory(models=("resnet50",), engines=("torch",), batches=(256,), out_of_memory=False)
    lines = section(printed(make_gpu_run(tmp_path / "run", asked), capsys), "Choose")
    assert [line.split("  ")[0].strip() for line in lines if "resnet50" in line] == [
        f"resnet50, {n}" for n in ("1 GPU", "2 GPUs", "4 GPUs")
    ]
    assert sum(bool(re.search(r"efficiency 9\d\.\d %", line)) for line in lines) == 2
    assert "latency bound" not in lines[1]


def test_the_title_names_the_devices_that_ran_and_boundaries_are_a_column(tmp_path, capsys):
    asked = GpuStory(models=("resnet50",), engines=("torch",), batches=(256,), out_of_memory=False)
    root = make_gpu_run(tmp_path / "run", asked)
    out = printed(root, capsys)
    assert out.splitlines()[0].rstrip().endswith(": 4 × NVIDIA H200") and "boundary" not in out
    out = printed(root, capsys, lambda r: msgspec.structs.replace(r, boundary="b" if r.devices > 1 else "a"))
    assert "boundary" in out.splitlines()[1]
