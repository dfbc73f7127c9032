import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("shell", "word"), [("bash", "complete -o nosort"), ("zsh", "#compdef dyno"), ("fish", "complete")]
)
def test_a_script_for_each_shell(dyno, shell, word):
    ended = dyno("completion", shell)
    assert ended.status == 0
    assert word in ended.out and f"_DYNO_COMPLETE={shell}_complete" in ended.out


@pytest.mark.parametrize(
    ("typed", "offered"),
    [("dyno in", "infer"), ("dyno infer --prec", "--precision"), ("dyno ls mod", "models")],
)
def test_what_the_script_asks_for_is_answered(typed, offered):
    words = typed.split()
    asked = {
        "_DYNO_COMPLETE": "bash_complete",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(len(words) - 1),
    }
    command = [sys.executable, "-m", "tensordyno.cli.main"]
    done = subprocess.run(command, env=os.environ | asked, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and f"plain,{offered}" in done.stdout.split(), done
