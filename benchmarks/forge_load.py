"""How long an engine file takes from `forge.load` to its first logits, in processes that begin anew.

    python benchmarks/forge_load.py resnet50.engine --out load.json
    python benchmarks/forge_load.py resnet50.onnx --precision fp16 --batch 1,256

First with an empty cache of Triton, as on a machine that never saw the engine, then with what that left.
Imports and the opening of the GPU are told apart: every program that uses PyTorch has them. `builds` are the
native modules that Triton had a C compiler make meanwhile, with the seconds each took, several at a time.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from record import finish, parser

GOAL_S = 2.0
CHILD = """
import json, sys, time
began = time.perf_counter()
import torch, triton
import triton.runtime.build as compiler
from tensordyno import forge
import tensordyno.forge.engine_build
imported = time.perf_counter()
torch.zeros(1, device=sys.argv[2]).cpu()
opened = time.perf_counter()
builds, build = [], compiler._build
def timed(name, *rest, **named):
    start = time.perf_counter()
    try:
        return build(name, *rest, **named)
    finally:
        builds.append([name, round(time.perf_counter() - start, 3)])
compiler._build = timed
start = time.perf_counter()
engine = forge.load(sys.argv[1], sys.argv[2])
loaded = time.perf_counter()
images = torch.zeros((engine.batch_sizes[0], *engine.input_shape))
engine(images).cpu()
first = time.perf_counter()
engine(images).cpu()
print(json.dumps({
    "import_s": imported - began, "gpu_s": opened - imported, "load_s": loaded - start,
    "first_call_s": first - loaded, "second_call_s": time.perf_counter() - first, "builds": builds,
}))
"""


def loaded(engine: Path, device: str, cache: Path) -> dict[str, object]:
    """The figures of one process with that cache of Triton. Raises RuntimeError with its last line."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(engine), device],
        env=os.environ | {"TRITON_CACHE_DIR": str(cache)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr.strip().rpartition("\n")[2])
    figures: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    print(figures, file=sys.stderr, flush=True)
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in figures.items()}


def built(asked: argparse.Namespace, folder: Path) -> Path:
    """The engine file asked for, or one that is built from an ONNX file, with the choices that are kept."""
    if asked.file.suffix == ".engine":
        return Path(asked.file)
    from tensordyno import forge
    from tensordyno.run.cache_folder import cache_root

    sizes = [int(word) for word in asked.batch.split(",")]
    path = folder / "built.engine"
    forge.build(asked.file, asked.precision, sizes, asked.device, cache=cache_root()).save(path)
    return path


def main() -> None:
    """An empty cache and a warm one, several times each."""
    words = parser(__doc__)
    words.formatter_class = argparse.RawTextHelpFormatter
    words.add_argument("file", type=Path, help="FILE.engine, or FILE.onnx to build one from")
    words.add_argument("--precision", default="int8")
    words.add_argument("--batch", default="1,32,256", help="batch sizes of an engine that is built")
    words.add_argument("--device", default="cuda:0")
    words.add_argument("--rounds", type=int, default=2)
    asked = words.parse_args()
    empty, warm = [], []
    with tempfile.TemporaryDirectory() as folder:
        engine = built(asked, Path(folder))
        for index in range(asked.rounds):
            cache = Path(folder) / f"cache{index}"
            empty.append(loaded(engine, asked.device, cache))
            warm.append(loaded(engine, asked.device, cache))
        size = engine.stat().st_size
    facts = {"engine_bytes": size, "goal_s": GOAL_S, "empty_cache": empty, "warm_cache": warm}
    finish(facts, asked.out)


if __name__ == "__main__":
    main()
