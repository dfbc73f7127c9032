"""An engine may live in an environment of its own, with NumPy and msgspec and little else."""

import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import msgspec
import numpy as np
import pytest
from flow_tools import null, spec, write_spec

from tensordyno.store.reader import read_run


def make_environment(root, *packages):
    """A virtual environment that offers these packages of ours, and no pip."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", root], check=True)
    (folder,) = root.glob("lib/python*/site-packages")
    for package in packages:
        names = {str(path).split("/")[0] for path in distribution(package).files or ()}
        for name in names - {".", "..", "__pycache__"}:
            (folder / name).symlink_to(distribution(package).locate_file(name))
    return root / "bin" / "python"


@pytest.fixture(scope="module")
def own_python(tmp_path_factory):
    return make_environment(tmp_path_factory.mktemp("own") / "environment", "numpy", "msgspec")


def test_the_environment_is_as_bare_as_it_should_be(own_python):
    listing = "import importlib.util as u; print([n for n in {} if u.find_spec(n)])"
    names = ["numpy", "msgspec", "click", "rich", "yaml", "PIL", "psutil", "pynvml", "torch", "tensordyno"]
    done = subprocess.run(
        [own_python, "-I", "-c", listing.format(names)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "['numpy', 'msgspec']"


def test_a_trial_in_an_environment_of_its_own(dyno, tmp_path, own_python):
    own = null(cost_s=0.01) | {"python": str(own_python)}
    path = write_spec(tmp_path, spec([own, null(cost_s=0.02)], precisions=["fp32", "bf16"]))
    ended = dyno("run", path, "-o", "run", "--no-report")
    assert ended.status == 0, ended.out
    outcomes = read_run(Path("run")).outcomes
    assert [o.verdict for o in outcomes] == ["valid"] * 4
    theirs = [o for o in outcomes if o.trial.engine.python]
    assert len(theirs) == 2 and all(o.accuracy is not None for o in theirs)


def test_it_sees_our_package_and_none_of_our_other_packages(own_python, monkeypatch, tmp_path):
    """Also where Tensordyno is installed beside a thousand others."""
    from tensordyno.run.interpreter import worker_environment

    path = worker_environment(str(own_python), None, "default")["PYTHONPATH"].split(":")[0]
    assert [entry.name for entry in Path(path).iterdir()] == ["tensordyno"]
    code = "import tensordyno, numpy, msgspec; print(numpy.__version__, msgspec.__version__)"
    done = subprocess.run(
        [own_python, "-c", code], env={"PYTHONPATH": path}, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [np.__version__, msgspec.__version__]


def test_an_environment_that_lacks_even_these_is_told_by_name(dyno, tmp_path):
    python = make_environment(tmp_path / "bare")
    path = write_spec(tmp_path, spec([null(cost_s=0.01) | {"python": str(python)}]))
    ended = dyno("run", path, "-o", "run", "--no-report")
    assert ended.status == 1
    assert "ModuleNotFoundError: No module named" in ended.err and ended.err.count("\n") == 1
