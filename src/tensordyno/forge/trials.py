"""Tries all candidates for an operation on the device: which compile, which agree, how long each takes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tensordyno.forge.bench import Bench
from tensordyno.forge.candidates import Way
from tensordyno.forge.compile_job import jobs_of
from tensordyno.forge.devices import Device
from tensordyno.forge.in_parts import InParts
from tensordyno.forge.kernels.base import Launch
from tensordyno.forge.program import Operation
from tensordyno.forge.stopwatch import gpu_us
from tensordyno.forge.storages import Storages, allocated
from tensordyno.forge.weights import Weights

if TYPE_CHECKING:
    import torch

_HOPELESS = 1.5  # times the best so far: such a candidate is timed once
_FINALISTS = 3
_LONGEST_REASON = 300


@dataclass
class Trial:
    """An operation in a batch, its candidates, and what became of them."""

    operation: Operation
    batch_size: int
    candidates: Sequence[Way]
    failures: dict[Way, str] = field(default_factory=dict)
    times_us: dict[Way, float] = field(default_factory=dict)
    best: Way | None = None  # the fastest one, once all were timed

    @property
    def working(self) -> list[Way]:
        """Those that have not failed, in their order."""
        return [each for each in self.candidates if each not in self.failures]


class TrialGround:
    """The memory and the weights that trials of one program need."""

    def __init__(self, sizes_bytes: Mapping[str, int], device: Device, weights: Weights) -> None:
        """`sizes_bytes` are those of the program's storages, and of those between parts, for one image."""
        self._sizes_bytes = sizes_bytes
        self._device = device
        self._weights = weights

    def jobs(self, trial: Trial) -> dict[Way, list[bytes]]:
        """What the compiler has to do for each candidate; one that cannot even be launched fails."""
        views = (*trial.operation.inputs, trial.operation.output)
        sizes = {view.storage: self._sizes_bytes[view.storage] * trial.batch_size for view in views}
        storages = Storages({name: allocated(size, self._device.torch) for name, size in sizes.items()})
        scratch = self._scratch(trial)
        found = {}
        for each in trial.working:
            try:
                launch = self._launch(trial, each, storages, scratch)
                found[each] = [job.packed() for job in jobs_of(launch)]
            except Exception as wrong:  # a candidate that fails is one candidate less
                trial.failures[each] = _reason(wrong)
        return found

    def run(self, trial: Trial) -> None:
        """Run every candidate once, drop those whose result differs, and time the others.

        The fastest are timed twice: while the first ones ran, the GPU's clock was still rising. Raises
        RuntimeError where a candidate breaks the GPU for this process.
        """
        bench = Bench(trial.operation, trial.batch_size, self._sizes_bytes, self._device)
        scratch = self._scratch(trial)
        launches: dict[Way, list[Launch]] = {}
        results: dict[Way, torch.Tensor] = {}
        for each in trial.working:
            try:
                launches[each] = [self._launch(trial, each, part, scratch) for part in bench.sets]
                results[each] = self._result(launches[each][0], bench)
            except Exception as wrong:
                trial.failures[each] = self._survived(each, wrong)
        trial.failures.update(disagreeing(results, bench))
        for each in trial.working:
            hopeless = min(trial.times_us.values(), default=float("inf")) * _HOPELESS
            trial.times_us[each] = gpu_us([launch.run for launch in launches[each]], hopeless)
        finalists = sorted(trial.working, key=trial.times_us.__getitem__)[:_FINALISTS]
        for each in finalists:
            trial.times_us[each] = gpu_us([launch.run for launch in launches[each]])
        trial.best = min(finalists, key=trial.times_us.__getitem__, default=None)

    def _result(self, launch: Launch, bench: Bench) -> "torch.Tensor":
        import torch

        bench.poison()
        launch.run()
        found = bench.result()
        torch.cuda.synchronize(self._device.torch)  # else a later candidate would have the blame
        return found

    def _survived(self, each: Way, wrong: Exception) -> str:
        """Why a candidate failed; raises where no other one can run any more."""
        import torch

        if isinstance(wrong, torch.OutOfMemoryError):
            raise wrong
        try:
            torch.cuda.synchronize(self._device.torch)
        except RuntimeError as broken:
            raise RuntimeError(f"{each} broke the GPU: {_reason(wrong)}") from broken
        return _reason(wrong)

    def _launch(self, trial: Trial, each: Way, storages: Storages, scratch: "torch.Tensor") -> Launch:
        return each.launch(
            trial.operation,
            trial.batch_size,
            storages=storages,
            weights=self._weights,
            device=self._device,
            scratch=scratch,
        )

    def _scratch(self, trial: Trial) -> "torch.Tensor":
        sizes = [each.scratch_bytes(trial.operation, trial.batch_size) for each in trial.working]
        return allocated(max(sizes, default=0), self._device.torch)


def disagreeing(results: "Mapping[Way, torch.Tensor]", bench: Bench) -> dict[Way, str]:
    """The candidates whose result is not that of the first one with which at least half of all agree.

    Parts of a fused operation have been held against others of their own: what they make is right.
    """
    believed = [each for each in results if isinstance(each, InParts)]
    for one in believed or results:
        wrong = {each: bench.difference(found, results[one]) for each, found in results.items()}
        wrong = {each: reason for each, reason in wrong.items() if reason}
        if believed or 2 * len(wrong) <= len(results):
            return wrong
    return dict.fromkeys(results, "no two candidates agree")


def _reason(wrong: Exception) -> str:
    text = " ".join(str(wrong).split())
    return f"{type(wrong).__name__}: {text}"[:_LONGEST_REASON]
