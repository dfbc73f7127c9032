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


class Sweep:
    """Outcomes by family: trials that differ in nothing but batch size and stopwatch."""

    def __init__(self, done: Iterable[Outcome] = ()) -> None:
        self._ended: dict[bytes, list[Outcome]] = {}
        self._materials: dict[bytes, Materials] = {}  # of families that ran out in this session
        for outcome in done:
            self._ended.setdefault(family(outcome.trial), []).append(outcome)

    def learn(self, outcome: Outcome, materials: Materials) -> None:
        """A trial ended."""
        key = family(outcome.trial)
        self._ended.setdefault(key, []).append(outcome)
        if outcome.verdict is Verdict.OUT_OF_MEMORY:
            self._materials[key] = materials

    def hopeless(self, trial: Trial) -> str:
        """Why a batch need not be tried: a smaller one of the same build ran out of memory; "" if it may."""
        smaller = [o for o in self._ran_out(family(trial)) if o.trial.batch_size < trial.batch_size]
        if not smaller:
            return ""
        first = min(smaller, key=lambda o: o.trial.batch_size)
        asked = first.shortage.asked_bytes if first.shortage else None
        wanting = f", which asked for {bytes_text(asked)} more" if asked else ""
        return f"A batch of {first.trial.batch_size} ran out of memory{wanting}."

    def searches(self, patience_s: float) -> Iterator[tuple[Trial, Search]]:
        """For each family that ran out of memory here: a trial of it, and what finds its largest batch."""
        for key, materials in self._materials.items():
            failed = min(self._ran_out(key), key=lambda o: o.trial.batch_size)
            yield failed.trial, self._search(key, failed, materials, patience_s)

    def _search(self, key: bytes, failed: Outcome, materials: Materials, patience_s: float) -> Search:
        out = failed.trial.batch_size
        ran = [o.trial.batch_size for o in self._ended[key] if o.verdict.is_measured]
        known = Edge(max((size for size in ran if size < out), default=0), out)

        def search(make: MakeTeam) -> LargestBatch:
            def team_for(trial: Trial) -> Team:
                try:
                    return make(trial, materials.folder)
                except WorkerFailure as error:
                    raise TrialFailed(from_error(error)) from error

            return find_largest(failed, known, materials, team_for, patience_s)

        return search

    def _ran_out(self, key: bytes) -> list[Outcome]:
        return [o for o in self._ended.get(key, ()) if o.verdict is Verdict.OUT_OF_MEMORY]


def family(trial: Trial) -> bytes:
    """A key that trials share if they differ in nothing but their batch size and stopwatch."""
    return msgspec.json.encode(msgspec.structs.replace(build_key(trial), boundary=trial.boundary))
