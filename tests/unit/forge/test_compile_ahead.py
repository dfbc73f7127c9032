"""Triton's compiler in other processes; this one has its interpreter."""

import os
import pickle
import subprocess
import sys

import pytest
import torch
import triton
from forge_kernels import relu_kernel, uncompiled_kernel

from tensordyno.errors import Unsupported
from tensordyno.forge.compile_ahead import compile_all
from tensordyno.forge.compile_job import jobs_of
from tensordyno.forge.kernels.base import Launch, Target

# Compiles in a process with a compiler, as a GPU's owner does: with tensors. Prints whether Triton's cache
# had what each launch needs.
_OWNER = """
import torch, triton
from forge_kernels import relu_kernel
from tensordyno.forge.compile_worker import compile_for

compile_for(90)
hits = []
triton.knobs.compilation.listener = lambda *, cache_hit, **_: hits.append(cache_hit)
memory = torch.zeros(128, dtype=torch.float32)
for elements in %s:
    relu_kernel.device_caches.clear()
    arguments = {"image": memory, "scratch": memory[1:], "output": memory.half(), "elements": elements}
    relu_kernel.warmup(**arguments, ERROR=0.0, BLOCK=16, num_warps=4, num_stages=2, grid=(7,))
print(*hits)
"""


class Deadly:
    """Kills the process that unpacks it."""

    def __reduce__(self):
        return os._exit, (9,)


def job(function=relu_kernel, elements=100, block=16):
    memory = torch.zeros(128, dtype=torch.float32)
    launch = Launch(
        function=function,
        grid=(1,),
        arguments={"image": memory, "scratch": memory[1:], "output": memory.half(), "elements": elements},
        constants={"ERROR": 0.0, "BLOCK": block},
    )
    return next(jobs_of(launch)).packed()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(triton.knobs.cache, "dir", str(tmp_path))
    return tmp_path


def owner_finds(cache, *elements):
    """Whether each of these launches finds its kernel."""
    ours = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, "-c", _OWNER % list(elements)],
        env=ours | {"TRITON_CACHE_DIR": str(cache), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_the_owner_of_the_gpu_finds_what_was_compiled(cache):
    seen = []
    failures = compile_all([job(), job(), job(elements=96)], Target(), lambda *told: seen.append(told))
    assert failures == {} and seen == [(1, 2), (2, 2)]
    assert owner_finds(cache, 7, 32, 1) == "True True False"


def test_a_failure_is_one_jobs_own(cache):
    wrong, deadly = job(uncompiled_kernel), pickle.dumps(Deadly())
    failures = compile_all([deadly, wrong, job(), job(block=32)], Target())
    assert failures.keys() == {wrong, deadly}
    assert "died (9)" in failures[deadly]
    assert "\n" not in failures[wrong] and "CompilationError" in failures[wrong]
    assert owner_finds(cache, 7) == "True"


def test_nothing_to_do():
    assert compile_all([], Target()) == {}


def test_a_compiler_that_cannot_start_is_told_at_once(monkeypatch, tmp_path):
    (tmp_path / "tensordyno").mkdir()
    (tmp_path / "tensordyno" / "__init__.py").write_text('raise ImportError("broken installation")')
    monkeypatch.setattr("tensordyno.forge.compile_ahead._environment", lambda: {"PYTHONPATH": str(tmp_path)})
    with pytest.raises(Unsupported, match=r"compiles kernels: ImportError: broken installation"):
        compile_all([job()] * 3, Target())
