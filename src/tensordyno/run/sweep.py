"""What a sweep over batch sizes teaches while it runs: what is hopeless, and where memory ends."""

from collections.abc import Callable, Iterable, Iterator

import msgspec

from tensordyno.errors import WorkerFailure
from tensordyno.records.memory import LargestBatch
from tensordyno.records.outcome import Outcome
from tensordyno.records.trial import Trial, build_key
from tensordyno.run.contender import Materials
from tensordyno.run.failure import from_error
from tensordyno.run.largest import Edge, find_largest
from tensordyno.run.pool import MakeTeam
from tensordyno.run.team import Team, TrialFailed
from tensordyno.units import bytes_text
from tensordyno.vocabulary import Verdict

Search = Callable[[MakeTeam], LargestBatch]
MaterialsOf = Callable[[Trial], Materials]


class Sweep:
    """Outcomes by family: trials that differ in nothing but batch size and stopwatch.

    `done` and `answered` are what earlier sessions of a resumed run left: outcomes, and largest batches.
    """

    def __init__(self, done: Iterable[Outcome] = (), answered: Iterable[LargestBatch] = ()) -> None:
        self._ended: dict[bytes, list[Outcome]] = {}
        self._answered = {_asked_about(largest) for largest in answered}
        for outcome in done:
            self.learn(outcome)

    def learn(self, outcome: Outcome) -> None:
        """A trial ended."""
        self._ended.setdefault(family(outcome.trial), []).append(outcome)

    def hopeless(self, trial: Trial) -> str:
        """Why a batch need not be tried: a smaller one of the same build ran out of memory; "" if it may."""
        smaller = [o for o in self._ran_out(family(trial)) if o.trial.batch_size < trial.batch_size]
        if not smaller:
            return ""
        first = min(smaller, key=lambda o: o.trial.batch_size)
        asked = first.shortage.asked_bytes if first.shortage else None
        wanting = f", which asked for {bytes_text(asked)} more" if asked else ""
        return f"A batch of {first.trial.batch_size} ran out of memory{wanting}."

    def searches(self, materials_of: MaterialsOf, patience_s: float) -> Iterator[tuple[Trial, Search]]:
        """For each family that ran out of memory: a trial of it, and what finds its largest batch.

        A search may raise TrialFailed.
        """
        for key in self._ended:
            ran_out = self._ran_out(key)
            if not ran_out or _asked_about(ran_out[0].trial) in self._answered:
                continue
            failed = min(ran_out, key=lambda o: o.trial.batch_size)
            yield failed.trial, self._search(key, failed, materials_of, patience_s)

    def _search(self, key: bytes, failed: Outcome, materials_of: MaterialsOf, patience_s: float) -> Search:
        out = failed.trial.batch_size
        ran = [o.trial.batch_size for o in self._ended[key] if o.verdict.is_measured]
        known = Edge(max((size for size in ran if size < out), default=0), out)

        def search(make: MakeTeam) -> LargestBatch:
            materials = materials_of(failed.trial)

            def team_for(trial: Trial) -> Team:
                try:
                    return make(trial, materials.folder)
                except WorkerFailure as error:
                    raise TrialFailed(from_error(error)) from error

            return find_largest(failed, known, materials, team_for, patience_s)

        return search

    def _ran_out(self, key: bytes) -> list[Outcome]:
        return [o for o in self._ended.get(key, ()) if o.verdict is Verdict.OUT_OF_MEMORY]


def _asked_about(of: Trial | LargestBatch) -> tuple[str | int, ...]:
    """What a largest batch is the answer for."""
    engine = of.engine.label if isinstance(of, Trial) else of.engine
    return (of.model, engine, str(of.precision), str(of.boundary), of.device, of.devices, of.dataset)


def family(trial: Trial) -> bytes:
    """A key that trials share if they differ in nothing but their batch size and stopwatch."""
    return msgspec.json.encode(msgspec.structs.replace(build_key(trial), boundary=trial.boundary))
