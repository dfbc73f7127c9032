"""The answer first: per network the best throughput, the best latency, the best within the bound."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tensordyno.analysis.baseline import Relative
from tensordyno.analysis.best import Answer, BoundedChoice, Choice, best
from tensordyno.analysis.scores import Score
from tensordyno.figures.labels import Labels, points
from tensordyno.figures.style import engine_colour
from tensordyno.report import cells
from tensordyno.store.reader import Run
from tensordyno.units import significant, with_unit


@dataclass(frozen=True)
class Best:
    """One winner in words: what for, how much, who, and against what."""

    heading: str
    value: str
    unit: str
    doubt: str  # its 95 % interval
    who: str
    colour: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Verdicts:
    """What may be said about one network at one boundary of one device."""

    name: str
    facts: str
    bests: tuple[Best, ...]


class Words:
    """Turns the answers of the analysis into words, with the ratios to the baseline at hand."""

    def __init__(
        self, run: Run, scores: Sequence[Score], ratios: Mapping[str, Relative], baseline: str
    ) -> None:
        self._labels = Labels(scores)
        self._by_id = {s.trial: s for s in scores}
        self._ratios = ratios
        self._baseline = baseline
        self._bound_s = run.header.latency_bound_s

    def answers(self, scores: Sequence[Score]) -> tuple[Verdicts, ...]:
        """One a question that has a VALID trial, in the order of the trials."""
        order = {self._labels.panel(s): i for i, s in reversed(list(enumerate(scores)))}
        found = best(scores, self._bound_s)
        ranked = sorted(found, key=lambda a: order[self._labels.panel(a.throughput.score)])
        return tuple(self._verdicts(answer) for answer in ranked)

    def headline(self, scores: Sequence[Score]) -> str:
        """The whole report in one sentence, about the network with the most computing if several."""
        found = best(scores, self._bound_s)
        if not found:
            return "No trial is VALID: there is nothing to rank."
        answer = max(found, key=lambda a: (a.candidates > 1, a.throughput.score.gmacs or 0.0))
        score = answer.throughput.score
        relative = self._ratios.get(score.trial)
        tail = f", {relative.ratio.interval.value:.2f} times {self._reference(relative)}" if relative else ""
        return (
            f"{self._labels.panel(score)} runs fastest on {self._labels.series(score)}: "
            f"{significant(answer.throughput.value.value)} images/s at batch {score.batch_size}{tail}"
            f"{_price(score)}."
        )

    def _verdicts(self, answer: Answer) -> Verdicts:
        bests = [self._throughput("Highest throughput", answer.throughput)]
        if answer.latency:
            bests.append(self._latency(answer.latency))
        if self._bound_s is not None:
            bests.append(self._within(answer.under_bound, self._bound_s))
        return Verdicts(
            name=self._labels.panel(answer.throughput.score),
            facts=facts(answer.throughput.score, answer.candidates, len(answer.set_aside)),
            bests=tuple(bests),
        )

    def _throughput(self, heading: str, choice: Choice, extra: tuple[str, ...] = ()) -> Best:
        interval = choice.value
        low_high = f"{significant(interval.low)}–{significant(interval.high)}" if interval.is_bounded else ""
        return Best(
            heading=heading,
            value=significant(interval.value),
            unit="images/s",
            doubt=low_high,
            who=self._who(choice.score),
            colour=engine_colour(choice.score.engine_name),
            notes=(*self._against(choice), *extra, *_right(choice.score), *self._ties(choice)),
        )

    def _latency(self, choice: Choice) -> Best:
        value, _, unit = with_unit(choice.value.value, "s").rpartition(" ")
        p99 = choice.score.latency_p99_s
        extra = (f"99 of 100 batches within {cells.duration(p99)}",) if p99 else ()
        return Best(
            heading="Lowest latency",
            value=value,
            unit=f"{unit} (median)",
            doubt=cells.duration_range(choice.value),
            who=self._who(choice.score),
            colour=engine_colour(choice.score.engine_name),
            notes=(*self._against(choice), *extra, *_right(choice.score), *self._ties(choice)),
        )

    def _within(self, found: BoundedChoice | None, bound_s: float) -> Best:
        heading = f"Fastest within {with_unit(bound_s, 's')}"
        if found is None:
            return Best(heading, cells.UNKNOWN, "", "", "Nothing keeps this bound.", "transparent", ())
        judged = f"judged on the {found.judged_on}: {cells.duration(found.latency_s)}"
        if not found.is_certain:
            judged += ", not certain with so few samples"
        return self._throughput(heading, found.choice, (judged,))

    def _who(self, score: Score) -> str:
        return f"{self._labels.series(score)}, batch {score.batch_size}"

    def _against(self, choice: Choice) -> tuple[str, ...]:
        relative = self._ratios.get(choice.score.trial)
        if relative is None:
            is_reference = self._baseline in (choice.score.engine, choice.score.engine_name)
            return ("this is the baseline",) if is_reference and choice.score.precision == "fp32" else ()
        return (f"{cells.ratio(relative)} the throughput of {self._reference(relative)}",)

    def _reference(self, relative: Relative) -> str:
        reference = self._by_id[relative.reference]
        return f"{self._labels.series(reference)} at batch {reference.batch_size}"

    def _ties(self, choice: Choice) -> tuple[str, ...]:
        others = [self._who(self._by_id[trial]) for trial in choice.ties]
        return (f"not told apart from {cells.listing(others, 2)}",) if others else ()


def _price(score: Score) -> str:
    """', for 0.15 points of top-1' where a faster number format was compared with FP32 and lost some."""
    if score.top1_difference is None or score.top1_difference.value >= 0:
        return ""
    return f", for {abs(100 * score.top1_difference.value):.2f} points of top-1"


def _right(score: Score) -> tuple[str, ...]:
    """What the winner's number format does to its answers."""
    difference = score.top1_difference
    if difference is None:
        return ()
    return (f"top-1 {points(difference.value)} points against FP32 ({cells.difference_range(difference)})",)


def facts(score: Score, candidates: int, set_aside: int = 0) -> str:
    """What the network is: valid trials, size, weights, accuracy."""
    parts = [f"{candidates} valid trial{'' if candidates == 1 else 's'}"]
    if set_aside:
        parts.append(f"{set_aside} more not recommended because they lose right answers")
    if score.parameters:
        parts.append(f"{with_unit(score.parameters, '').strip()} parameters")
    if score.gmacs:
        parts.append(f"{with_unit(score.gmacs * 1e9, 'MAC')}s an image")
    if score.weights == "random":
        parts.append("random weights: speed only")
    elif score.top1 and score.is_timed:
        parts.append(f"top-1 {cells.share(score.top1)} on {score.dataset}")
    return ", ".join(parts)
