"""The answer first: per network the best throughput, the best latency, the best within the bound."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from tensordyno.analysis.baseline import Relative
from tensordyno.analysis.best import Answer, BoundedChoice, Choice, best
from tensordyno.analysis.scores import Score
from tensordyno.figures.labels import Labels, in_order, points
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
    """What may be said about one network at one boundary, on one device and on several."""

    name: str
    facts: str
    bests: tuple[Best, ...]


class Words:
    """Turns the answers of the analysis into words, with the ratios to the baseline at hand."""

    def __init__(
        self, run: Run, scores: Sequence[Score], ratios: Mapping[str, Relative], baseline: str
    ) -> None:
        self._labels = Labels(scores)
        self._places = Labels([_alone(s) for s in scores])
        self._several = any(s.devices * s.nodes > 1 for s in scores)
        self._by_id = {s.trial: s for s in scores}
        self._ratios = ratios
        self._baseline = baseline
        self._bound_s = run.header.latency_bound_s

    def answers(self, scores: Sequence[Score]) -> tuple[Verdicts, ...]:
        """One a network and place that has a VALID trial, networks in the order of the trials."""
        networks = in_order(s.model for s in scores)
        places = in_order(self._place(s) for s in scores)
        groups: dict[tuple[int, int], list[Answer]] = {}
        for answer in self._found(scores):
            first = answer.throughput.score
            at = networks.index(first.model), places.index(self._place(first))
            groups.setdefault(at, []).append(answer)
        return tuple(self._verdicts(groups[at]) for at in sorted(groups))

    def _found(self, scores: Sequence[Score]) -> list[Answer]:
        """The answers, those on the fewest devices first."""
        return sorted(best(scores, self._bound_s), key=lambda a: (a.question.nodes, a.question.devices))

    def _place(self, score: Score) -> str:
        return self._places.panel(_alone(score))

    def headline(self, scores: Sequence[Score]) -> str:
        """The whole report in one sentence, about the network with the most computing if several."""
        found = self._found(scores)
        if not found:
            return "No trial is VALID: there is nothing to rank."
        answer = max(found, key=lambda a: (a.candidates > 1, a.throughput.score.gmacs or 0.0))
        score = answer.throughput.score
        relative = self._ratios.get(score.trial)
        tail = f", {relative.ratio.interval.value:.2f} times {self._reference(relative)}" if relative else ""
        place = self._place(score)
        where = f" on {self._labels.devices(score)}" if self._several else ""
        return (
            f"{place}{',' if ',' in place else ''} runs fastest on {self._labels.series(score)}: "
            f"{significant(answer.throughput.value.value)} images/s at batch {score.batch_size}{where}{tail}"
            f"{_price(score)}{self._more([a for a in found if self._is_larger(a, answer)])}."
        )

    def _is_larger(self, answer: Answer, than: Answer) -> bool:
        """Whether it is the same question, asked of more devices."""
        same = self._place(answer.throughput.score) == self._place(than.throughput.score)
        return same and answer.question.devices > than.question.devices

    def _more(self, larger: Sequence[Answer]) -> str:
        """'; 62,924 images/s on 2 GPUs, efficiency 100.0 %', of the largest number of devices."""
        if not larger:
            return ""
        score, value = larger[-1].throughput.score, larger[-1].throughput.value.value
        share = score.scaling_efficiency
        told = f", efficiency {cells.percent(share.value, 1)}" if share else ""
        return f"; {significant(value)} images/s on {self._labels.devices(score)}{told}"

    def _verdicts(self, answers: Sequence[Answer]) -> Verdicts:
        """The fewest devices with all that is asked, more devices with their throughput."""
        first, *others = answers
        bests = [self._throughput(self._heading("Highest throughput", first), first.throughput)]
        if first.latency:
            bests.append(self._latency(self._heading("Lowest latency", first), first.latency))
        if self._bound_s is not None:
            heading = self._heading(f"Fastest within {with_unit(self._bound_s, 's')}", first)
            bests.append(self._within(heading, first.under_bound))
        bests += [self._throughput(self._heading("Highest throughput", a), a.throughput) for a in others]
        return Verdicts(
            name=self._place(first.throughput.score),
            facts=facts(
                first.throughput.score,
                sum(a.candidates for a in answers),
                sum(len(a.set_aside) for a in answers),
            ),
            bests=tuple(bests),
        )

    def _heading(self, what: str, answer: Answer) -> str:
        """'Highest throughput, 2 GPUs' where the run used several."""
        if not self._several:
            return what
        question = answer.question
        nodes = f" of {question.nodes} nodes" if question.nodes > 1 else ""
        return f"{what}, {self._labels.devices(question)}{nodes}"

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
            notes=(
                *_gain(choice.score),
                *self._against(choice),
                *extra,
                *_right(choice.score),
                *self._ties(choice),
            ),
        )

    def _latency(self, heading: str, choice: Choice) -> Best:
        value, _, unit = with_unit(choice.value.value, "s").rpartition(" ")
        p99 = choice.score.latency_p99_s
        extra = (f"99 of 100 batches within {cells.duration(p99)}",) if p99 else ()
        return Best(
            heading=heading,
            value=value,
            unit=f"{unit} (median)",
            doubt=cells.duration_range(choice.value),
            who=self._who(choice.score),
            colour=engine_colour(choice.score.engine_name),
            notes=(*self._against(choice), *extra, *_right(choice.score), *self._ties(choice)),
        )

    def _within(self, heading: str, found: BoundedChoice | None) -> Best:
        if found is None:
            return Best(heading, cells.UNKNOWN, "", "", "Nothing keeps this bound.", "transparent", ())
        judged = f"judged on the {found.judged_on}: {cells.duration(found.latency_s)}"
        if not found.is_certain:
            judged += ", not certain with so few samples"
        return self._throughput(heading, found.choice, (judged,))

    def _who(self, score: Score) -> str:
        each = " on each" if score.devices * score.nodes > 1 else ""
        return f"{self._labels.series(score)}, batch {score.batch_size}{each}"

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


def _alone(score: Score) -> Score:
    """The trial as if it had run on one device."""
    return replace(score, devices=1, nodes=1)


def _gain(score: Score) -> tuple[str, ...]:
    """What several devices made of one's throughput."""
    if score.speedup is None or score.scaling_efficiency is None:
        return ()
    share = cells.share(score.scaling_efficiency, 1)
    return (f"{cells.times(score.speedup)} the throughput of one, efficiency {share}",)


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
