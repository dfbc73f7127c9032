import io

import pytest
from fake_worker import trial
from made_calibration import made_calibration
from made_engine import POOL, MadeEngine, chosen, selection
from msgspec.structs import replace
from rich.console import Console

from tensordyno.cli import calibrating
from tensordyno.cli.engine_page import Stopwatch, batches, network
from tensordyno.clock import FakeClock
from tensordyno.errors import DataError
from tensordyno.records.messages import ProgressReport
from tensordyno.vocabulary import Precision

onnx_graphs = pytest.importorskip("onnx_classifiers", reason="needs onnx and ONNX Runtime")
helper = pytest.importorskip("onnx").helper

PLAIN = [helper.make_node("Relu", ["images"], ["made"], name="r")]
STRANGE = [helper.make_node("Sin", ["images"], ["made"], name="wave")]


@pytest.fixture
def workers(monkeypatch, tmp_path):
    """A function that makes the workers' folders, with these nodes for a network, and notes calibrations."""
    calls = []

    def make(nodes=PLAIN, **facts):
        made = made_calibration(tmp_path / "made", **facts)
        (made.prepared / "model.onnx").write_bytes(onnx_graphs.classifier(nodes).SerializeToString())
        monkeypatch.setattr(calibrating, "prepare", lambda trial, hear: made.prepared)

        def calibrate(trial, hear, *, sensitivity, table):
            calls.append((trial.precision, sensitivity, table))
            return made

        monkeypatch.setattr(calibrating, "calibrate", calibrate)
        return made, calls

    return make


def heard(report):
    del report


def of(precision):
    return replace(trial(), precision=precision)


def test_int8_is_compiled_from_the_q_dq_file_of_forge_s_form(workers):
    made, calls = workers()
    assert network(of(Precision.INT8), heard) == made.folder / "model.int8.onnx"
    assert calls == [(Precision.INT8, False, "")]


@pytest.mark.parametrize("precision", [Precision.FP16, Precision.FP32])
def test_real_numbers_need_no_calibration(workers, precision):
    made, calls = workers()
    assert network(of(precision), heard) == made.prepared / "model.onnx" and calls == []


def test_what_holds_its_ranges_is_not_calibrated_again(workers):
    made, calls = workers(quantized=True)
    assert network(of(Precision.INT8), heard) == made.prepared / "model.onnx" and calls == []


def test_what_forge_cannot_read_is_known_before_images_are_looked_at(workers):
    _, calls = workers(STRANGE)
    with pytest.raises(DataError, match=r"'Sin' \(node 'wave'\)") as caught:
        network(of(Precision.INT8), heard)
    assert caught.value.slug == "forge-unsupported" and calls == []


def test_the_stopwatch_tells_a_reader_what_forge_does_and_adds_it_up():
    clock, reports = FakeClock(), []
    watch = Stopwatch(reports.append, clock)
    for doing, done, seconds in (("compile", 1, 2.0), ("compile", 2, 3.0), ("time", 1, 0.5)):
        clock.sleep(seconds)
        watch(doing, done, 2)
    clock.sleep(1.0)
    watch.stop()
    assert watch.phases_s == {"compiling kernels": 5.0, "timing layers": 0.5} and watch.total_s == 6.5
    assert reports[0] == ProgressReport(doing="compiling kernels", done=1, total=2)
    assert [report.doing for report in reports][2:] == ["timing layers"]


def shown(engine):
    out = Console(file=io.StringIO(), width=120)
    out.print(batches(engine))
    return [line.split() for line in out.file.getvalue().splitlines()]


def test_each_batch_size_has_its_row():
    choices = {32: (chosen(us=1500.0), chosen(POOL, us=500.0)), 1: (chosen(us=20.0), chosen(POOL, us=5.0))}
    engine = MadeEngine(choices, [selection(1), selection(1, kept=True), selection(32), selection(32)])
    rows = shown(engine)
    assert rows[1] == ["1", "2", "1.00", "MiB", "1", "1", "25.0", "µs", "40,000"]
    assert rows[2] == ["32", "2", "32.0", "MiB", "2", "0", "2.00", "ms", "16,000"]


def test_a_time_that_is_not_known_is_not_made_up():
    row = shown(MadeEngine({4: (chosen(us=None), chosen())}))[1]
    assert row == ["4", "2", "4.00", "MiB", "0", "0"]
