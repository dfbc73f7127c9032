import io

import pytest
from fake_worker import trial
from made_calibration import FACTS, made_calibration
from msgspec.structs import replace
from rich.console import Console

from tensordyno.cli import calibrating as module
from tensordyno.cli.calibrating import calibrate, calibration_bar, only_trial
from tensordyno.errors import DataError, StoreError, Unsupported, UsageError, WorkerFailure
from tensordyno.records.messages import ProgressReport
from tensordyno.run.failure import Failure
from tensordyno.run.team import TrialFailed
from tensordyno.spec.yaml_file import spec_from_text
from tensordyno.vocabulary import Precision, Verdict

INT8 = "models: lenet5_fashion\nprecisions: int8\n"


def test_the_trial_is_named_after_its_network():
    asked = only_trial(spec_from_text(f"{INT8}engines: onnxruntime\ncalibration: {{methods: mse}}", "a"))
    assert (asked.id, asked.precision, asked.calibration.method) == ("lenet5_fashion", Precision.INT8, "mse")


def test_several_calibrations_fit_no_file():
    with pytest.raises(UsageError, match="ask for 2 calibrations") as caught:
        only_trial(spec_from_text(f"{INT8}engines: onnxruntime\ncalibration: {{seeds: '1,2'}}", "a"))
    assert caught.value.slug == "one-calibration"


def test_what_cannot_run_here_is_said():
    with pytest.raises(Unsupported, match=r"lenet5_fashion cannot be quantized here: .*driver") as caught:
        only_trial(spec_from_text(f"{INT8}engines: onnxruntime\ndevices: cuda", "a"))
    assert caught.value.exit_code == 3


class Workers:
    """Stands for both kinds of folders: notes what it is asked, or fails."""

    failure = None
    asked: tuple = ()
    prepared = None

    def __init__(self, logs, patience_s, **options):
        assert logs.is_dir() and patience_s > 60
        self.options = options

    def folder_for(self, trial, prepared=None, hear=None):
        if Workers.failure is not None and (prepared is None) == Workers.while_preparing:
            raise Workers.failure
        if prepared is None:
            return str(Workers.prepared)
        hear(ProgressReport(doing="calibrating", done=1, total=2))
        Workers.asked = (trial, prepared, self.options)
        return "quantized", FACTS


@pytest.fixture
def workers(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "PreparedModels", Workers)
    monkeypatch.setattr(module, "QuantizedModels", Workers)
    Workers.failure, Workers.while_preparing, Workers.asked = None, True, ()
    Workers.prepared = made_calibration(tmp_path / "made").prepared
    return Workers


def test_what_is_quantized_already_is_not_quantized_again(workers, tmp_path):
    workers.prepared = made_calibration(tmp_path / "again", quantized=True).prepared
    with pytest.raises(DataError, match="quantized already") as caught:
        calibrate(trial(), lambda report: None, sensitivity=False, table="")
    assert caught.value.slug == "already-quantized" and workers.asked == ()


def test_the_network_is_prepared_then_calibrated_and_both_are_heard(workers):
    heard = []
    found = calibrate(trial("lenet"), heard.append, sensitivity=True, table="t.json")
    assert (str(found.folder), found.prepared, found.facts) == ("quantized", workers.prepared, FACTS)
    wishes = {"sensitivity": True, "table": "t.json"}
    assert workers.asked == (trial("lenet"), str(workers.prepared), wishes)
    assert [(r.doing, r.done, r.total) for r in heard] == [
        ("preparing", 0, 1),
        ("preparing", 1, 1),
        ("calibrating", 1, 2),
    ]


@pytest.mark.parametrize("while_preparing", [True, False])
@pytest.mark.parametrize(
    ("verdict", "kind"),
    [
        (Verdict.INVALID, DataError),
        (Verdict.UNSUPPORTED, UsageError),
        (Verdict.CRASHED, WorkerFailure),
        (Verdict.OUT_OF_MEMORY, WorkerFailure),
        (Verdict.TIMED_OUT, WorkerFailure),
    ],
)
def test_what_a_worker_said_ends_the_command(workers, verdict, kind, while_preparing):
    workers.failure = TrialFailed(Failure(verdict, "It failed. Do this.", "its-slug"))
    workers.while_preparing = while_preparing
    with pytest.raises(kind) as caught:
        calibrate(trial(), lambda report: None, sensitivity=False, table="")
    assert type(caught.value) is kind and caught.value.line() == "It failed. Do this. [its-slug]"


def test_a_full_disk_stays_a_full_disk(workers):
    workers.failure = StoreError("disk-full", "No room.")
    with pytest.raises(StoreError):
        calibrate(trial(), lambda report: None, sensitivity=False, table="")


@pytest.mark.parametrize(("quiet", "stream"), [(False, "out"), (True, "err")])
def test_without_a_terminal_there_are_a_few_lines(capsys, quiet, stream):
    with calibration_bar(replace(trial(), id="lenet"), quiet=quiet) as hear:
        for done in range(101):
            hear(ProgressReport(doing="calibrating", done=done, total=100))
    lines = getattr(capsys.readouterr(), stream).splitlines()
    assert 1 <= len(lines) <= 5 and all(line.startswith("lenet  calibrating ") for line in lines)


def test_on_a_terminal_a_bar_follows_what_is_done(monkeypatch):
    screen = Console(file=io.StringIO(), force_terminal=True, width=100)
    monkeypatch.setattr(module, "Console", lambda **_: screen)
    with calibration_bar(replace(trial(), id="lenet"), quiet=False) as hear:
        for doing, total in (("preparing", 1), ("calibrating", 400), ("ranking layers", 9)):
            for done in (0, total):
                hear(ProgressReport(doing=doing, done=done, total=total))
    assert "lenet: ranking layers" in screen.file.getvalue() and "9/9" in screen.file.getvalue()
