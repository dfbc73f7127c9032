"""Kernels that travel: compiled in one process, found compiled by another one elsewhere."""

import os
import subprocess
import sys
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


def test_prepares_each_kernel_once(monkeypatch):
    loaded = []

    class Function:
        def warmup(self, *, grid, **arguments):
            kernel = SimpleNamespace(hash=arguments["BLOCK"] // 100)
            return type(
                "Kernel", (), {"hash": kernel.hash, "run": property(lambda self: loaded.append(self.hash))}
            )()

    def launch(block, *before):
        return Launch(
            function=Function(), grid=(1,), arguments={"n": 1}, constants={"BLOCK": block}, before=before
        )

    monkeypatch.setattr("torch.cuda.device", lambda device: __import__("contextlib").nullcontext())
    kernels = prepare([launch(100), launch(101, launch(200), launch(300)), launch(201)], CPU)
    assert [kernel.hash for kernel in kernels] == [1, 2, 3]
    assert sorted(loaded) == [1, 1, 2, 2, 3]
