"""`dyno accuracy` and INT8 from the command line to the tables: real engines, real images, few of them."""

import json

import numpy as np
import pytest
from flow_tools import null, run_dyno, spec, write_spec

from tensordyno.analysis.accuracy import accuracy_rows
from tensordyno.analysis.scores import scores
from tensordyno.store.reader import read_run
from tensordyno.vocabulary import Task, Verdict

QUICK = ("--images", "400", "--calibration", "5x25", "--set", "verify_images=8", "--no-report")
ENGINES = ("onnxruntime", "openvino")


def counting(engines, **changes):
    return spec(engines, **({"task": "accuracy", "measure": None, "accuracy_images": 64} | changes))


def dyno_accuracy(folder, *arguments):
    """`dyno accuracy` of the smallest network as a process of its own."""
    return run_dyno("accuracy", "lenet5_fashion", *QUICK, *arguments, "-o", folder / "run", cwd=folder)


@pytest.fixture(scope="module")
def int8(tmp_path_factory):
    """FP32 and INT8 on two engines, calibrated by a run that found an empty cache."""
    folder = tmp_path_factory.mktemp("int8")
    patch = pytest.MonkeyPatch()
    patch.setenv("TENSORDYNO_CACHE", str(folder / "cache"))
    ended = dyno_accuracy(folder, "--precision", "fp32,int8", "--engine", ",".join(ENGINES), "--json")
    yield ended, folder / "run"
    patch.undo()


def test_right_answers_of_two_engines_in_two_formats(int8):
    ended, root = int8
    assert ended.status == 0, ended.err
    run = read_run(root)
    assert {o.verdict for o in run.outcomes} == {Verdict.VALID} and len(run.outcomes) == 4
    assert all(o.trial.task is Task.ACCURACY and not o.bursts for o in run.outcomes)
    for outcome in run.outcomes:
        answers = run.answers(outcome.trial.id)
        assert answers.shape == (400, 3) and outcome.accuracy.images == 400
        assert int((answers[:, 2] == 0).sum()) == outcome.accuracy.top1_correct
        assert int((answers[:, 2] < 5).sum()) == outcome.accuracy.top5_correct
        np.testing.assert_array_equal(answers[:, 0] == answers[:, 1], answers[:, 2] == 0)


def test_int8_is_proved_calibrated_once_and_nearly_as_right(int8):
    rows = {(row["engine"], row["precision"]): row for row in int8[0].summary["trials"]}
    for engine in ENGINES:
        exact, coarse = rows[engine, "fp32"], rows[engine, "int8"]
        assert coarse["int8_layers"] >= 1 and coarse["calibration_images"] == 125
        assert coarse["fp32_trial"] == exact["trial"]
        assert coarse["top1_difference"] == pytest.approx(coarse["top1"] - exact["top1"])
        low, high = coarse["top1_difference_ci95"]
        assert low < coarse["top1_difference"] < high
        assert high > -0.01  # the network still classifies
        assert coarse["fp32_agreement"] > 0.9
        assert exact["calibration_images"] is None and exact["top1_difference"] is None
    reused = [rows[engine, "int8"]["calibration_reused"] for engine in ENGINES]
    assert reused == [False, True]


def test_one_file_answers_alike_on_both_engines(int8):
    run = read_run(int8[1])
    first, second = (run.answers(o.trial.id) for o in run.outcomes if o.trial.precision == "int8")
    assert (first[:, 1] == second[:, 1]).mean() > 0.98


def test_the_table_of_the_paper_is_derived_from_the_stored_run(int8):
    run = read_run(int8[1])
    rows = accuracy_rows(run, scores(run))
    assert [(row.model, row.engine, row.precision) for row in rows] == [
        ("lenet5_fashion", engine, "int8") for engine in ENGINES
    ]
    assert all(row.paired.images == 400 and row.fp32.engine == row.engine for row in rows)


def test_another_session_finds_the_calibration(int8, tmp_path):
    ended = dyno_accuracy(tmp_path, "--precision", "int8", "--engine", "onnxruntime", "--json")
    assert ended.status == 0, ended.err
    (row,) = ended.summary["trials"]
    assert row["calibration_reused"] is True
    assert row["top1_difference"] is None  # FP32 was not asked for


def test_the_terminal_shows_the_difference_and_few_images_are_warned_of(int8, tmp_path):
    few = ("--precision", "fp32,int8", "--engine", "onnxruntime", "--calibration", "2x25")
    ended = dyno_accuracy(tmp_path, *few)
    assert ended.status == 0, ended.err
    assert "Right answers beside fp32 on the same 400 images" in ended.out
    assert "→" in ended.out and "images/s" not in ended.out
    assert "[few-calibration-images]" in ended.out.replace("\n", " ")


def test_int8_is_timed_with_its_answers_beside_the_speed(int8, tmp_path):
    measure = ("--min-seconds", "0.1", "--max-seconds", "60", "--target", "0.9")
    quick = ("burst_seconds=0.05", "warmup_seconds=0.05", "max_probe_loss=0.99")
    ended = run_dyno(
        *("infer", "lenet5_fashion", "--engine", "onnxruntime", "--precision", "fp32,int8", "--batch", "8"),
        *measure,
        *(word for setting in quick for word in ("--set", f"measure.{setting}")),
        *("--set", "accuracy_images=400", "--set", "verify_images=8", "--set", "telemetry.overhead=false"),
        *("--calibration", "5x25", "--no-report", "--json"),
        *("-o", tmp_path / "run"),
        cwd=tmp_path,
    )
    assert ended.status == 0, ended.err
    exact, coarse = ended.summary["trials"]
    assert (exact["precision"], coarse["precision"]) == ("fp32", "int8")
    assert coarse["verdict"] == "valid" and coarse["images_per_s"] > 0
    assert coarse["top1_difference"] is not None and coarse["fp32_trial"] == exact["trial"]


def test_a_spec_may_ask_for_right_answers_alone(dyno, tmp_path):
    path = write_spec(tmp_path, counting([null(), null(error=1e-5)], batch_sizes=[4]))
    ended = dyno("run", path, "-o", tmp_path / "run", "--json", "--no-report")
    assert ended.status == 0, ended.err
    for row in ended.summary["trials"]:
        assert (row["task"], row["verdict"]) == ("accuracy", "valid")
        assert row["images_per_s"] is None and row["bursts"] == 0 and row["accuracy_images"] == 64
    assert not list((tmp_path / "run" / "samples").iterdir())


def test_a_run_of_right_answers_goes_on_where_it_was_cut(dyno, tmp_path):
    path = write_spec(tmp_path, counting([null(), null(error=1e-5)]))
    root = tmp_path / "run"
    assert dyno("run", path, "-o", root, "--no-report").status == 0
    records = root / "records.jsonl"
    lines = records.read_bytes().splitlines(keepends=True)
    last = next(n for n, line in reversed(list(enumerate(lines))) if b'"kind":"outcome"' in line)
    records.write_bytes(b"".join(lines[:last]))
    (cut,) = {t.id for t in read_run(root).plan.trials} - {o.trial.id for o in read_run(root).outcomes}
    (root / "answers" / f"{cut}.npy").unlink()
    ended = dyno("run", "--resume", root, "--no-report")
    assert ended.status == 0 and f"{cut}  VALID" in ended.out and ended.out.count("  VALID") == 1
    run = read_run(root)
    assert len(run.answers(cut)) == 64 and [o.attempt for o in run.outcomes] == [1, 1]


def test_images_without_labels_have_no_right_answers(dyno, tmp_path):
    ended = dyno("accuracy", "lenet5_fashion", "--data", "synthetic", "--precision", "fp32")
    assert ended.status == 2 and "[no-labels]" in ended.err and ended.err.count("\n") == 1


def test_random_weights_have_no_right_answers(dyno, tmp_path):
    ended = dyno("accuracy", "alexnet", "--data", "fashion", "--precision", "fp32")
    assert ended.status == 2 and "[random-weights]" in ended.err


def test_two_counts_are_compared_image_by_image(dyno, tmp_path):
    for name, error in (("old", 1e-5), ("new", 2e-5)):
        path = write_spec(tmp_path, counting([null(error=error)]), f"{name}.yaml")
        assert dyno("run", path, "-o", tmp_path / name, "--no-report").status == 0
    found = json.loads(dyno("compare", tmp_path / "old", tmp_path / "new", "--json").out)
    assert found["matches"] == []  # another engine option is another configuration
    same = json.loads(dyno("compare", tmp_path / "old", tmp_path / "old", "--json").out)
    (match,) = same["matches"]
    assert match["difference"]["value"] == 0 and match["difference"]["low"] < 0
