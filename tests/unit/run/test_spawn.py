"""A worker as the parent sees it, with real processes and an interpreter that is not ours."""

import os
import signal
import stat
import sys
import textwrap
import time

import psutil
import pytest
from launch_tools import launched

from tensordyno.errors import StoreError, WorkerFailure
from tensordyno.records.messages import FailureReport, FinishOrder, ReadyReport, ReceiptOrder
from tensordyno.records.trial import EngineChoice, Trial
from tensordyno.run.failure import from_error, from_report, oom_kills
from tensordyno.run.interpreter import KEEP_FREED_MEMORY
from tensordyno.run.spawn import Worker, WorkerDied, WorkerHung
from tensordyno.vocabulary import Precision, Verdict


def trial(**options):
    engine = EngineChoice(name="null", options=options)
    return Trial(id="t", model="m", engine=engine, precision=Precision.FP32, batch_size=1)


@pytest.fixture(scope="module", params=["here", "by another rank"])
def where(request):
    """What tells a worker who is to start it."""
    if request.param == "here":
        yield {}
    else:
        with launched() as (launch, _):
            yield {"rank": 1, "launch": launch}


@pytest.fixture
def spawn(tmp_path, where):
    """Start workers; a script stands in for the interpreter where one is given."""
    workers = []

    def start(script=None, allocator="default"):
        python = None
        if script:
            path = tmp_path / "python"
            path.write_text(f"#!{sys.executable}\n{textwrap.dedent(script)}")
            path.chmod(path.stat().st_mode | stat.S_IXUSR)
            python = str(path)
        workers.append(Worker(tmp_path / "log", python, None, allocator, **where))
        return workers[-1]

    yield start
    for worker in workers:
        worker.kill()


def test_a_receipt_comes_back_on_its_own_pipe(spawn):
    worker = spawn()
    worker.order(ReceiptOrder(trial=trial()))
    report = worker.await_report(30)
    assert isinstance(report, ReadyReport)
    assert report.receipt.engine == "null"
    assert report.process.pid == worker.pid


def test_a_refusal_is_an_answer_and_the_worker_lives_on(spawn):
    worker = spawn()
    worker.order(ReceiptOrder(trial=trial(no_such_option=1)))
    refused = worker.await_report(30)
    assert isinstance(refused, FailureReport) and refused.slug == "engine-options"
    worker.order(ReceiptOrder(trial=trial()))
    assert isinstance(worker.await_report(30), ReadyReport)


def test_the_allocator_setting_reaches_the_worker_and_its_record(spawn):
    worker = spawn(allocator="keep")
    worker.order(ReceiptOrder(trial=trial()))
    report = worker.await_report(30)
    assert isinstance(report, ReadyReport)
    assert KEEP_FREED_MEMORY.items() <= report.process.malloc_settings.items()


def test_last_words_of_a_worker_that_leaves_early(spawn):
    worker = spawn("print('the library said this'); raise SystemExit(7)")
    with pytest.raises(WorkerDied, match="exit status 7") as caught:
        worker.await_report(30)
    assert caught.value.last_words == "the library said this"
    failure = from_error(caught.value, oom_kills())
    assert failure.verdict is Verdict.CRASHED


@pytest.mark.parametrize(("number", "name"), [(signal.SIGSEGV, "SIGSEGV"), (signal.SIGKILL, "SIGKILL")])
def test_a_signal_is_named(spawn, number, name):
    worker = spawn(f"import os; os.kill(os.getpid(), {int(number)})")
    with pytest.raises(WorkerDied, match=name):
        worker.await_report(30)


def test_a_hung_worker_is_ended_with_everything_it_started(spawn, tmp_path):
    child = tmp_path / "child"
    worker = spawn(
        f"""
        import subprocess, time
        p = subprocess.Popen(["sleep", "600"])
        open({str(child)!r}, "w").write(str(p.pid))
        time.sleep(600)
        """
    )
    while not (child.exists() and child.read_text()):
        pass
    with pytest.raises(WorkerHung) as caught:
        worker.await_report(0.1)
    assert from_error(caught.value, None).verdict is Verdict.TIMED_OUT
    assert is_gone(int(child.read_text()))


def is_gone(pid):
    """Whether a process has ended; a zombie waits only for its parent."""
    for _ in range(500):
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.01)
    return False


def test_a_program_that_cannot_start_is_a_failure_of_the_trial(tmp_path, where):
    with pytest.raises(WorkerDied, match=r"did not start: .*No such file"):
        Worker(tmp_path / "log", str(tmp_path / "nothing"), None, "default", **where)


def test_an_order_to_a_dead_worker_is_not_an_error_yet(spawn):
    worker = spawn("raise SystemExit(3)")
    assert worker._child.wait(60)
    worker.order(FinishOrder())
    with pytest.raises(WorkerDied):
        worker.await_report(5)


def test_a_kill_is_out_of_memory_only_when_the_kernel_counted_one():
    died = WorkerDied("killed", -9, "")
    assert from_error(died, oom_kills()).verdict is Verdict.CRASHED
    before = oom_kills()
    if before is not None:
        assert from_error(died, before - 1).verdict is Verdict.OUT_OF_MEMORY


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        ("MemoryError", Verdict.OUT_OF_MEMORY),
        ("Unsupported", Verdict.UNSUPPORTED),
        ("MissingPackage", Verdict.UNSUPPORTED),
        ("RuntimeError", Verdict.CRASHED),
        ("DataError", Verdict.INVALID),
    ],
)
def test_what_a_worker_says_decides_the_verdict(error, verdict):
    report = FailureReport(error=error, slug="s", sentence="It broke.", remedy="Type this.")
    failure = from_report(report)
    assert (failure.verdict, failure.reason) == (verdict, "It broke. Type this.")


def test_ending_a_worker_twice_is_harmless(spawn):
    worker = spawn("import time; time.sleep(600)")
    with pytest.raises(WorkerHung):
        worker.await_report(0.1, "Wait longer.")
    worker.kill()
    worker.finish()
    worker.order(FinishOrder())
    with pytest.raises(WorkerDied, match="ended before"):
        worker.await_report(5)


def test_a_hung_worker_says_which_limit_was_too_short(spawn):
    worker = spawn("import time; time.sleep(600)")
    with pytest.raises(WorkerHung, match=r"for 0\.1 s") as caught:
        worker.await_report(0.1, "Raise limits.build_seconds.")
    assert from_error(caught.value).reason.endswith("Raise limits.build_seconds.")


def test_a_line_that_is_no_report_ends_the_worker(spawn):
    worker = spawn("import os, sys, time; os.write(int(sys.argv[4]), b'hello\\n'); time.sleep(600)")
    with pytest.raises(WorkerFailure) as caught:
        worker.await_report(30)
    assert caught.value.slug == "broken-conversation" and is_gone(worker.pid)


def test_a_dead_worker_is_noticed_though_its_own_children_hold_the_pipe(spawn, tmp_path):
    """Compilers fork helpers, which inherit the worker's end of the pipe and live on."""
    child = tmp_path / "child"
    worker = spawn(
        f"""
        import os, time
        if pid := os.fork():
            open({str(child)!r}, "w").write(str(pid))
            os._exit(3)
        time.sleep(600)
        """
    )
    with pytest.raises(WorkerDied, match="exit status 3"):
        worker.await_report(60)
    worker.kill()
    assert is_gone(int(child.read_text()))


def test_an_earlier_attempts_words_are_not_this_ones(spawn, tmp_path):
    (tmp_path / "log").write_text("what the first attempt said\n")
    with pytest.raises(WorkerDied) as silent:
        spawn("raise SystemExit(3)").await_report(30)
    assert silent.value.last_words == ""
    with pytest.raises(WorkerDied) as last:
        spawn("print('x' * 5000); print('the end'); raise SystemExit(3)").await_report(30)
    assert last.value.last_words.endswith("the end") and len(last.value.last_words) <= 2000
    assert last.value.sentence.endswith("It said: the end")


def test_nothing_stays_open_when_workers_come_and_go(spawn, where):
    processes = [os.getpid()] + ([where["launch"].pids[1]] if where else [])
    counts = []
    for script in ("pass", "raise SystemExit(3)", "import sys; sys.stdin.readline()") * 2:
        worker = spawn(script)
        with pytest.raises(WorkerFailure):
            worker.await_report(0.2)
        worker.kill()
        counts.append([len(os.listdir(f"/proc/{pid}/fd")) for pid in processes])
    assert counts == counts[:1] * len(counts)


def test_a_log_that_cannot_be_written_is_the_runs_trouble(tmp_path):
    with pytest.raises(StoreError, match="cannot be written"):
        Worker(tmp_path / "no folder" / "log", None, None, "default")
