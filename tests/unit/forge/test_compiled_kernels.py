"""Kernels that travel: compiled in one process, found compiled by another one elsewhere."""

import os
import subprocess
import sys
from contextlib import nullcontext
from importlib import import_module
from types import SimpleNamespace

import pytest
import triton
from forge_kernels import CPU

from tensordyno.forge.compiled_kernels import files_of, prepare, put_into_cache
from tensordyno.forge.kernels.base import Launch

_COMPILES = """
import json, torch, triton
from forge_kernels import relu_kernel
from tensordyno.forge.compile_worker import compile_for

compile_for(90)
hits = []
triton.knobs.compilation.listener = lambda *, cache_hit, **_: hits.append(cache_hit)
memory = torch.zeros(64)
kernel = relu_kernel.warmup(memory, memory, memory, 5, ERROR=0.0, BLOCK=16, grid=(1,))
print(json.dumps({"hit": hits[0], "hash": kernel.hash, "files": kernel.metadata_group}))
print(kernel.asm["cubin"].hex())
"""


def compiled(cache):
    """A compiled kernel as Triton gives it, whether its cache had it, and the machine code."""
    import json

    ours = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, "-c", _COMPILES],
        env=ours | {"TRITON_CACHE_DIR": str(cache), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=True,
    )
    facts, code = done.stdout.splitlines()
    found = json.loads(facts)
    kernel = SimpleNamespace(hash=found["hash"], metadata_group=found["files"])
    return kernel, found["hit"], bytes.fromhex(code)


def test_a_kernel_travels(tmp_path, monkeypatch):
    kernel, hit, code = compiled(tmp_path / "there")
    assert not hit
    files = files_of([kernel])
    assert {name.rpartition(".")[2] for name in files[kernel.hash]} == {"json", "cubin"}
    monkeypatch.setattr(triton.knobs.cache, "dir", str(tmp_path / "here"))
    put_into_cache(files)
    moved, hit, code_here = compiled(tmp_path / "here")
    assert hit and moved.hash == kernel.hash and code_here == code
    put_into_cache({kernel.hash: {name: b"" for name in files[kernel.hash]}})
    assert compiled(tmp_path / "here")[1:] == (True, code)  # what is there stays


def test_an_emptied_cache_is_told():
    kernel = SimpleNamespace(hash="00", metadata_group={"k.cubin": "/no/such/file"})
    with pytest.raises(OSError):
        files_of([kernel])


class Kernel:
    """A compiled kernel that notes when it is loaded."""

    def __init__(self, number, signature, loaded):
        self.hash, self._loaded = number, loaded
        self.metadata, self.src = SimpleNamespace(), SimpleNamespace(signature=signature)

    @property
    def run(self):
        self._loaded.append(self.hash)


class Function:
    """Its kernels are told apart by BLOCK, their launchers by the type of n."""

    def __init__(self, loaded):
        self._loaded = loaded

    def warmup(self, *, grid, n, BLOCK, **options):
        return Kernel(BLOCK // 100, {"n": type(n).__name__}, self._loaded)


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr("torch.cuda.device", lambda device: nullcontext())
    gpu = SimpleNamespace(get_current_target=lambda: None)
    monkeypatch.setattr(import_module("triton.runtime.driver"), "driver", SimpleNamespace(active=gpu))


@pytest.mark.usefixtures("no_gpu")
def test_each_kernel_is_loaded_and_those_of_new_launchers_first():
    loaded = []

    def launch(block, *before, n=1):
        return Launch(
            function=Function(loaded),
            grid=(1,),
            arguments={"n": n},
            constants={"BLOCK": block},
            before=before,
        )

    kernels = prepare([launch(100), launch(101, launch(200), launch(300, n=0.5)), launch(201)], CPU)
    assert [kernel.hash for kernel in kernels] == [1, 2, 3]
    assert 3 in loaded[:2] and sorted(loaded[2:]) == [1, 2, 3]
