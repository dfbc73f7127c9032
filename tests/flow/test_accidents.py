"""What can befall a run: its workers die in every way, its parent dies, the user stops it."""

import re
import shutil
import signal
import threading
from collections import Counter
from pathlib import Path

import pytest
from flow_tools import (
    ENDLESS,
    QUICK,
    REAL,
    is_gone,
    kill,
    null,
    run_dyno,
    spec,
    start_dyno,
    verdicts,
    wait_for,
    workers_here,
    workers_of,
    write_spec,
)

from tensordyno.records.outcome import Outcome
from tensordyno.records.wire import decode_line
from tensordyno.store.reader import read_run

GOOD = "null(cost_s=0.01)"


def outcome_of(root, label):
    return next(o for o in read_run(Path(root)).outcomes if o.trial.engine.label == label)


def written(root):
    """Every outcome line of a run, in the order in which they were written."""
    lines = (Path(root) / "records.jsonl").read_bytes().splitlines()
    return [r for r in map(decode_line, lines) if isinstance(r, Outcome)]


# -- a worker's accidents ------------------------------------------------------------------------------


@pytest.mark.parametrize("fail_at", ["receipt", "load", "run"])
def test_every_way_to_die_is_a_record_and_the_run_goes_on(dyno, tmp_path, fail_at):
    ways = ("crash", "exit", "kill", "memory", "segfault", "unsupported")
    after = {"fail_after": 60} if fail_at == "run" else {}  # into the measuring, past build and warm-up
    engines = [null(fail=way, fail_at=fail_at, **after) for way in ways]
    path = write_spec(tmp_path, spec([null(cost_s=0.01), *engines]))
    assert dyno("run", path, "-o", "run", "--no-report").status == 0
    run = read_run(tmp_path / "run")
    found = {o.trial.engine.options.get("fail", ""): o for o in run.outcomes}
    assert {way: outcome.verdict.value for way, outcome in found.items()} == {
        "": "valid",
        "crash": "crashed",
        "exit": "crashed",
        "kill": "crashed",
        "segfault": "crashed",
        "memory": "out_of_memory",
        "unsupported": "unsupported",
    }
    assert "told to" in found["crash"].reason and "RuntimeError" in found["crash"].last_words
    assert "exit status 7" in found["exit"].reason
    assert "SIGKILL" in found["kill"].reason and "SIGSEGV" in found["segfault"].reason
    assert all(outcome.slug for way, outcome in found.items() if way)
    assert not workers_here()


def test_a_hang_is_stopped_while_building_and_while_measuring(dyno, tmp_path):
    engines = [
        null(cost_s=0.01),
        null(fail="hang", fail_at="compile"),
        null(fail="hang", fail_at="run", fail_after=150),
    ]
    measure = QUICK["measure"] | {"max_seconds": 2, "min_seconds": 1.9, "warmup_seconds": 0.1}
    limits = {"build_seconds": 6, "burst_grace_seconds": 2.5}
    path = write_spec(tmp_path, spec(engines, limits=limits, measure=measure))
    assert dyno("run", path, "-o", "run", "--no-report").status == 0
    found = {o.trial.engine.options.get("fail_at", ""): o for o in read_run(tmp_path / "run").outcomes}
    assert found[""].verdict == "valid"
    assert found["compile"].verdict == found["run"].verdict == "timed_out"
    assert "limits.build_seconds" in found["compile"].reason
    assert "limits.burst_grace_seconds" in found["run"].reason
    assert not workers_here()


def test_kill_9_of_a_worker_that_measures_costs_its_trial_only(dyno, tmp_path):
    """The victim would measure for ever; it is killed when the other trial has been recorded."""
    blocks = [
        {"engines": [null(cost_s=0.01)], "measure": REAL},
        {"engines": [null(cost_s=0.005)], "measure": ENDLESS},
    ]
    path = write_spec(tmp_path, spec(None, blocks=blocks))
    killed = []

    def assassin():
        records = tmp_path / "run" / "records.jsonl"
        wait_for(lambda: records.exists() and written("run"), "the other trial")
        (victim,) = wait_for(lambda: len(workers_here()) == 1 and workers_here(), "the victim alone")
        killed.append(victim.pid)
        kill(victim.pid)

    thread = threading.Thread(target=assassin)
    thread.start()
    ended = dyno("run", path, "-o", "run", "--no-report")
    thread.join()
    assert ended.status == 0
    assert verdicts("run") == {GOOD: "valid", "null(cost_s=0.005)": "crashed"}
    crashed = outcome_of("run", "null(cost_s=0.005)")
    assert "SIGKILL" in crashed.reason and crashed.slug == "worker-died"
    assert crashed.process is not None and [crashed.process.pid] == killed
    samples = read_run(Path("run")).latencies_s(crashed.trial.id)
    assert len(samples) == sum(burst.batches for burst in crashed.bursts) > 0


def test_words_of_a_library_that_aborts_are_kept(dyno, tmp_path):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'libvendor.so: cannot open shared object' >&2\nexit 127\n")
    python.chmod(0o755)
    engines = [null(cost_s=0.01), {"name": "null", "python": str(python)}]
    assert dyno("run", write_spec(tmp_path, spec(engines)), "-o", "run", "--no-report").status == 0
    dead = next(o for o in read_run(Path("run")).outcomes if o.verdict == "crashed")
    assert dead.last_words == "libvendor.so: cannot open shared object"
    assert "exit status 127" in dead.reason and "libvendor.so" in dead.reason


def test_a_worker_that_talks_nonsense_is_stopped(dyno, tmp_path):
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\nread order\necho "hello" > "/dev/fd/$4"\nsleep 600\n')
    python.chmod(0o755)
    engines = [null(cost_s=0.01), {"name": "null", "python": str(python)}]
    assert dyno("run", write_spec(tmp_path, spec(engines)), "-o", "run", "--no-report").status == 0
    dead = next(o for o in read_run(Path("run")).outcomes if o.verdict != "valid")
    assert (dead.verdict, dead.slug) == ("crashed", "broken-conversation")
    assert not workers_here()


# -- the parent's accidents ----------------------------------------------------------------------------


@pytest.fixture
def endless(tmp_path):
    """A run in which one trial is over and two others are being measured for ever."""
    blocks = [
        {"engines": [null(cost_s=0.01)], "batch_sizes": [1]},
        {"engines": [null(cost_s=0.011), null(cost_s=0.012)], "batch_sizes": [2], "measure": ENDLESS},
    ]
    path = write_spec(tmp_path, spec(None, blocks=blocks))
    root = tmp_path / "run"
    process = start_dyno("run", path, "-o", root, "--no-report", cwd=tmp_path)
    try:
        wait_for(lambda: (root / "records.jsonl").exists() and len(written(root)) == 1, "the first trial")
        wait_for(lambda: len(workers_of(process.pid)) == 2, "two workers")
        yield process, root
    finally:
        process.kill()
        process.communicate()


def shorten(root):
    """Let the endless trials end: plan.json is what a resumed run goes by."""
    plan = root / "plan.json"
    text, count = re.subn(r'"min_seconds":600(\.0)?', '"min_seconds":0.2', plan.read_text())
    assert count == 2
    plan.write_text(text)


def completes(root, attempts=2):
    """Resume a run and check that each trial then has exactly one final outcome."""
    shorten(root)
    ended = run_dyno("run", "--resume", root, "--no-report")
    assert ended.status == 0, ended.err
    run = read_run(root)
    assert run.footer is not None and not run.footer.interrupted
    assert {o.trial.id for o in run.outcomes} == {t.id for t in run.plan.trials}
    assert all(o.verdict == "valid" for o in run.outcomes)
    final = Counter(o.trial.id for o in written(root) if o.verdict != "interrupted")
    assert set(final.values()) == {1}
    assert {o.attempt for o in run.outcomes if o.trial.batch_size == 2} == {attempts}


def test_kill_9_of_the_parent_loses_at_most_what_was_in_progress(endless):
    process, root = endless
    workers = [w.pid for w in workers_of(process.pid)]
    kill(process.pid)
    process.wait()
    for pid in workers:
        wait_for(lambda pid=pid: is_gone(pid), "the orphan to die")
    run = read_run(root)
    assert run.footer is None
    assert [o.verdict for o in run.outcomes] == ["valid"]
    completes(root, attempts=1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_request_to_stop_leaves_a_readable_run(endless, number):
    process, root = endless
    workers = [w.pid for w in workers_of(process.pid)]
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == (
        f"dyno: Stopped; what was measured so far is kept. Type: dyno run --resume {root} [interrupted]\n"
    )
    assert all(map(is_gone, workers))
    run = read_run(root)
    assert run.footer is not None and run.footer.interrupted
    assert sorted(o.verdict for o in run.outcomes) == ["interrupted", "interrupted", "valid"]
    assert {o.reason for o in run.outcomes if o.verdict == "interrupted"} == {"Stopped by the user."}
    if number is signal.SIGINT:
        listed = run_dyno("ls", "-C", root.parent)
        assert f"interrupted: dyno run --resume {root}" in " ".join(listed.out.split())
        completes(root)


def test_two_sessions_never_write_to_one_folder(endless, tmp_path):
    process, root = endless
    before = (root / "plan.json").read_bytes()
    for arguments in (("--resume", root), (tmp_path / "spec.yaml", "-o", root)):
        ended = run_dyno("run", *arguments, "--no-report")
        assert ended.status == 4
        assert ended.err == f"dyno: Another dyno is writing to {root}. [run-in-use]\n"
    assert process.poll() is None
    assert (root / "plan.json").read_bytes() == before and (root / ".ballast").exists()


def test_stopping_while_a_network_is_prepared_does_not_wait_for_it(tmp_path):
    module = tmp_path / "endless_network.py"
    module.write_text("import time\ndef network():\n    open('begun', 'w').close()\n    time.sleep(600)\n")
    path = write_spec(tmp_path, spec([null()], models=["endless_network:network"]))
    with start_dyno("run", path, "-o", "run", "--no-report", cwd=tmp_path) as process:
        wait_for((tmp_path / "begun").exists, "the preparation")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 130
    run = read_run(tmp_path / "run")
    assert run.outcomes == () and run.footer is not None and run.footer.interrupted


def test_a_reader_that_leaves_does_not_stop_the_run(tmp_path):
    path = write_spec(tmp_path, spec([null(cost_s=0.01), null(cost_s=0.02)]))
    with start_dyno("run", path, "-o", "run", "--no-report", cwd=tmp_path) as process:
        process.stdout.close()  # dyno run | head -0
        process.stdout = None
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert set(verdicts(tmp_path / "run").values()) == {"valid"}
    assert (tmp_path / "run" / "summary.json").exists()


# -- resuming ------------------------------------------------------------------------------------------


def test_resuming_a_finished_run_does_nothing(dyno, tmp_path):
    path = write_spec(tmp_path, spec([null(cost_s=0.01), null(fail="exit", fail_at="load")]))
    assert dyno("run", path, "-o", "run", "--no-report").status == 0
    before = Path("run/records.jsonl").read_bytes()
    ended = dyno("run", "--resume", "run", "--no-report")
    assert ended.status == 0 and "nothing to resume" in ended.out
    assert Path("run/records.jsonl").read_bytes() == before


def test_a_run_cut_between_its_last_trial_and_its_footer_gets_the_footer(dyno, tmp_path):
    path = write_spec(tmp_path, spec([null(cost_s=0.01)]))
    assert dyno("run", path, "-o", "run", "--no-report").status == 0
    records = Path("run/records.jsonl")
    lines = records.read_bytes().splitlines(keepends=True)
    records.write_bytes(b"".join(lines[:-1]) + lines[-1][:20])
    assert read_run(Path("run")).truncated
    assert dyno("run", "--resume", "run", "--no-report").status == 0
    run = read_run(Path("run"))
    assert run.footer is not None and len(written("run")) == 1


def test_a_run_that_ended_before_its_first_record_can_be_started_again(dyno, tmp_path):
    path = write_spec(tmp_path, spec([null(cost_s=0.01)]))
    root = tmp_path / "run"
    root.mkdir()
    (root / "records.jsonl").write_bytes(b'{"schema":1,"kind":"hea')
    ended = dyno("run", "--resume", root)
    assert ended.status == 4 and "[no-run]" in ended.err
    assert dyno("run", path, "-o", root, "--no-report").status == 0


def test_a_folder_that_holds_a_run_is_not_overwritten(dyno, tmp_path):
    path = write_spec(tmp_path, spec([null(cost_s=0.01)]))
    assert dyno("run", path, "-o", "run", "--no-report").status == 0
    before = Path("run/records.jsonl").read_bytes()
    ended = dyno("run", path, "-o", "run", "--no-report")
    assert ended.status == 4 and ended.err.count("\n") == 1 and "--resume run [run-exists]" in ended.err
    assert Path("run/records.jsonl").read_bytes() == before


def test_folders_that_a_copy_left_behind_are_made_again(dyno, tmp_path):
    path = write_spec(tmp_path, spec([null(cost_s=0.01)]))
    assert dyno("run", path, "-o", "run", "--no-report").status == 0
    records = Path("run/records.jsonl")
    records.write_bytes(records.read_bytes().splitlines(keepends=True)[0])
    for name in ("logs", "samples", "readings"):
        shutil.rmtree(Path("run") / name)
    assert dyno("run", "--resume", "run", "--no-report").status == 0
    assert verdicts("run") == {GOOD: "valid"}
