import os
import subprocess
import sys

PROGRAM = """
import os, sys, time
from tensordyno.worker.lifeline import die_with_parent
die_with_parent({parent})
print(os.getpid(), flush=True)
time.sleep(600)
"""


def test_a_process_dies_with_its_parent_however_that_dies():
    """A parent that starts the process, passes its output on and kills itself."""
    child = PROGRAM.format(parent="os.getppid()")
    parent = (
        "import os, subprocess, sys, signal;"
        f"p = subprocess.Popen([sys.executable, '-c', {child!r}]);"
        "sys.stdin.readline(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", parent], **pipes) as process:
        pid = int(process.stdout.readline())
        os.kill(pid, 0)
        process.stdin.write(b"now\n")
        process.stdin.flush()
        assert process.stdout.read() == b""  # the pipe ends when the last process that holds it does


def test_a_parent_that_died_before_is_noticed():
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(parent=gone.pid)], capture_output=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout) == (1, b"")
