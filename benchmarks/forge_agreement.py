"""Whole engines of forge against ONNX Runtime on the same file: int8 on the Q/DQ file, fp16 on the float one.

Networks are prepared, quantized and answered by ONNX Runtime on all cores while a process of its own holds
the GPU: it compiles the kernels of what is ready together, then builds and asks one engine after the other.
A network that fails, hangs or breaks the GPU is one line, and the next one goes on in a new process.

    python benchmarks/forge_agreement.py --out agreement.jsonl --cifar cifar10.npz
    TRITON_INTERPRET=1 python benchmarks/forge_agreement.py resnet8_fashion --device cpu --batch 4 --small 8
"""

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from forge_cases import SMALL_SIDE, Case, Cases, Wishes

from tensordyno import forge
from tensordyno.forge.candidates import candidates
from tensordyno.forge.compile_ahead import compile_all
from tensordyno.forge.compile_job import jobs_of
from tensordyno.forge.devices import Device, open_device
from tensordyno.forge.engine_build import program_of
from tensordyno.forge.graph import Graph
from tensordyno.forge.onnx_reader import read_graph
from tensordyno.forge.program import Program
from tensordyno.forge.runtime import Executable
from tensordyno.forge.simplify import simplify
from tensordyno.forge.weights import Weights
from tensordyno.models.base import cards
from tensordyno.run.cache_folder import cache_root
from tensordyno.vocabulary import Precision

GOAL = 0.995  # of top-1 answers, where they mean something: trained networks
CASE_S = 240  # the longest that one case may hold the GPU
THREADS_A_NETWORK = 2
LONGEST_REASON = 300


def compile_ahead(cases: Sequence[Case], batch: int, device: str) -> None:
    """Compile the kernels of all cases on all cores, so that building only loads. In the GPU's process."""
    opened, jobs = open_device(device), []
    for case in cases:
        try:
            program = _program(_graph(case.onnx), case.precision, opened)
            executable = Executable(
                program, batch, likeliest(program, batch, opened), opened, _weights(opened)
            )
            jobs += [job.packed() for launch in executable.launches for job in jobs_of(launch)]
        except Exception as wrong:  # the case itself will say so
            print(f"{case.network} {case.precision}: {_reason(wrong)}", file=sys.stderr, flush=True)
    compile_all(jobs, opened.target)


def judged(case: Case, batch: int, device: str, search: bool, exact: bool) -> dict[str, Any]:
    """The figures of a case. In the GPU's process. Raises what building and running raise."""
    start = time.perf_counter()
    engine = built(case, batch, device, search, exact)
    build_s = time.perf_counter() - start
    with np.load(case.file) as stored:
        images, expected, own = stored["images"], stored["logits"], stored.get("own")
    found = engine(images).cpu().numpy()
    return {
        "images": len(images),
        **agreement(expected, found),
        "onnxruntime_with_itself": None if own is None else agreement(expected, own)["top1"],
        "build_s": round(build_s, 2),
    }


def built(case: Case, batch: int, device: str, search: bool, exact: bool) -> forge.Engine:
    """An engine for one batch size, its kernels timed or the likeliest ones."""
    if search:
        return forge.build(case.onnx, case.precision, (batch,), device, cache=cache_root(), exact=exact)
    opened = open_device(device)
    graph = _graph(case.onnx, exact)
    program = _program(graph, case.precision, opened)
    return forge.Engine(
        graph=graph,
        program=program,
        precision=case.precision,
        choices={batch: likeliest(program, batch, opened)},
        device=opened,
        weights=_weights(opened),
    )


def likeliest(program: Program, batch: int, device: Device) -> list[Any]:
    """The first choice for each operation, as engine forge takes with search=false."""
    return [candidates(each, batch, device.target)[0].chosen() for each in program.operations]


def agreement(expected: np.ndarray, found: np.ndarray) -> dict[str, Any]:
    """Same first classes (a fraction), SQNR in dB (None: the same numbers), the largest difference.

    `lost_lead` is the most by which the expected first class leads the class found in its place, as a
    fraction of the largest logit: small ones are ties.
    """
    if not np.isfinite(found).all():
        raise ArithmeticError(f"{np.count_nonzero(~np.isfinite(found))} logits are not finite")
    first, second = expected.argmax(axis=1), found.argmax(axis=1)
    rows = np.arange(len(expected))
    lead = (expected[rows, first] - expected[rows, second]).max() / np.abs(expected).max()
    signal, error = (float(np.square(each, dtype=np.float64).sum()) for each in (expected, expected - found))
    return {
        "top1": float((first == second).mean()),
        "sqnr_db": round(10 * np.log10(signal / error), 2) if error else None,
        "max_difference": float(np.abs(expected - found).max()),
        "lost_lead": float(lead),
    }


@cache
def _graph(onnx: Path, exact: bool = False) -> Graph:
    return simplify(read_graph(onnx), exact=exact)


def _program(graph: Graph, precision: Precision, device: Device) -> Program:
    return program_of(graph, precision, device.target)


def _weights(device: Device) -> Weights:
    return Weights(device.torch)


def _reason(wrong: BaseException) -> str:
    return f"{type(wrong).__name__}: {' '.join(str(wrong).split())}"[:LONGEST_REASON]


class Gpu:
    """The process that holds the GPU; another one after each failure, which may have broken it."""

    def __init__(self) -> None:
        self._pool = self._started()

    def do(self, work: Any, *arguments: Any) -> Any:
        """The result of a call over there. Raises what it raises, TimeoutError, BrokenProcessPool."""
        try:
            return self._pool.submit(work, *arguments).result(CASE_S)
        except BaseException:
            self.close()
            self._pool = self._started()
            raise

    def close(self) -> None:
        """End the process, whatever it is doing."""
        for process in multiprocessing.active_children():
            process.kill()
        self._pool.shutdown(cancel_futures=True)

    @staticmethod
    def _started() -> ProcessPoolExecutor:
        return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))


def waves(ready: dict[Future[list[Case]], str]) -> Iterator[tuple[list[Case], dict[str, str]]]:
    """All cases that became ready since the last wave, and the networks that failed with the reasons."""
    pending = set(ready)
    while pending:
        done, pending = wait(pending, return_when=FIRST_COMPLETED)
        failures = {ready[each]: _reason(wrong) for each in done if (wrong := each.exception())}
        yield [case for each in done if each.exception() is None for case in each.result()], failures


class Page:
    """Prints a line a case at once, and writes it as a line of JSON."""

    def __init__(self, out: Path | None) -> None:
        self._out = out.open("w") if out else None

    def add(self, network: str, precision: str, **facts: Any) -> None:
        """One case."""
        if self._out:
            self._out.write(json.dumps({"network": network, "precision": precision, **facts}) + "\n")
            self._out.flush()
        print(f"{network:18} {precision:4} {_words(facts)}", flush=True)


def _words(facts: dict[str, Any]) -> str:
    if "error" in facts:
        return f"FAILED {facts['error']}"
    sqnr = "exact" if facts["sqnr_db"] is None else f"{facts['sqnr_db']:.1f} dB"
    kind = "trained" if facts["trained"] else "random "
    itself = facts["onnxruntime_with_itself"]
    noise = "" if itself is None else f"  (ONNX Runtime with itself {itself:.3%})"
    below = "  BELOW THE GOAL" if facts["trained"] and facts["top1"] < GOAL else ""
    return (
        f"{kind} {facts['images']:5} images  top-1 {facts['top1']:8.3%}  {sqnr:>8}"
        f"  max {facts['max_difference']:.4g}  lead lost {facts['lost_lead']:.3f}{noise}"
        f"  built in {facts['build_s']} s{below}"
    )


def in_order(networks: Sequence[str]) -> list[str]:
    """Those for small images first, which are trained; else as they came."""
    small = {name for name, card in cards().items() if card.input_shape[1] <= SMALL_SIDE}
    return sorted(networks, key=lambda name: name not in small)


def parsed() -> argparse.Namespace:
    """The command line."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    words.add_argument("networks", nargs="*", help="of the catalogue; default: all")
    words.add_argument("--precision", default="int8,fp16")
    words.add_argument("--device", default="cuda:0", help="cpu: Triton's interpreter, for tiny networks")
    words.add_argument("--batch", type=int, default=32)
    words.add_argument("--small", type=int, default=2000, help="images of networks for 32 pixels and fewer")
    words.add_argument("--large", type=int, default=32, help="images of the others")
    words.add_argument("--cifar", default="", metavar="FILE", help="CIFAR-10 as .npz; default: Fashion-MNIST")
    words.add_argument("--search", action="store_true", help="time all kernels; default: the likeliest ones")
    words.add_argument("--exact", action="store_true", help="make every rounding that the file asks for")
    words.add_argument("--out", type=Path, metavar="FILE", help="a line of JSON a case")
    return words.parse_args()


def main() -> int:
    """Judge all cases; 1 where one failed or a trained network is below the goal."""
    asked = parsed()
    networks = in_order(asked.networks or list(cards()))
    precisions = tuple(Precision(word) for word in asked.precision.split(","))
    wishes = Wishes(small=asked.small, large=asked.large, cifar=asked.cifar)
    page, gpu, good = Page(asked.out), Gpu(), True
    workers = max(1, len(os.sched_getaffinity(0)) // THREADS_A_NETWORK)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(workers) as threads:
        cases = Cases(Path(folder), wishes, THREADS_A_NETWORK)
        for wave, failures in waves({threads.submit(cases.of, name, precisions): name for name in networks}):
            for network, reason in failures.items():
                page.add(network, "-", error=reason)
            good &= not failures
            try:
                if wave and not asked.search and asked.device != "cpu":
                    gpu.do(compile_ahead, wave, asked.batch, asked.device)
            except Exception as wrong:  # then each is compiled when it is built
                print(f"compiling ahead: {_reason(wrong)}", file=sys.stderr, flush=True)
            for case in wave:
                try:
                    facts = gpu.do(judged, case, asked.batch, asked.device, asked.search, asked.exact)
                    facts["trained"] = case.trained
                    good &= not case.trained or facts["top1"] >= GOAL
                except Exception as wrong:
                    facts, good = {"error": _reason(wrong)}, False
                page.add(case.network, case.precision.value, **facts)
                case.file.unlink()
    gpu.close()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
