import pytest

from tensordyno.errors import DataError, MissingPackage, UnknownName, WorkerFailure
from tensordyno.records.memory import Shortage
from tensordyno.records.messages import FailureReport
from tensordyno.run.failure import from_error, from_report, oom_kills
from tensordyno.vocabulary import Verdict


def test_the_kernels_own_count_is_read(tmp_path):
    vmstat = tmp_path / "vmstat"
    vmstat.write_text("nr_free_pages 7\noom_kill 3\n")
    assert oom_kills(vmstat) == 3
    vmstat.write_text("nr_free_pages 7\n")
    assert oom_kills(vmstat) is None
    assert oom_kills(tmp_path / "absent") is None


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (DataError("missing-data", "No data.", "Give some."), Verdict.INVALID),
        (UnknownName("model", "x", ["y"]), Verdict.UNSUPPORTED),
        (MissingPackage("timm", "timm"), Verdict.UNSUPPORTED),
        (WorkerFailure("broken-conversation", "Nonsense."), Verdict.CRASHED),
    ],
)
def test_an_error_of_the_parent_is_judged_as_one_of_the_worker(error, verdict):
    failure = from_error(error)
    assert (failure.verdict, failure.slug) == (verdict, error.slug)
    assert failure.reason == f"{error.sentence} {error.remedy}".strip()


def test_the_traceback_is_kept_where_it_may_tell_more():
    for error, kept in (("RuntimeError", True), ("MemoryError", True), ("DataError", False)):
        report = FailureReport(error=error, slug="s", sentence="It broke.", detail="Traceback ...")
        assert bool(from_report(report).last_words) is kept


def test_what_memory_was_missing_is_passed_on():
    shortage = Shortage(asked_bytes=7, free_bytes=5)
    report = FailureReport(error="MemoryError", slug="out-of-memory", sentence="Full.", shortage=shortage)
    assert from_report(report).shortage == shortage
    assert from_error(WorkerFailure("broken-conversation", "Nonsense.")).shortage is None
