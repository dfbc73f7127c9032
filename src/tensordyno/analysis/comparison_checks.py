"""Warnings about comparisons: what stands side by side but is not alike."""

from collections.abc import Sequence

from tensordyno.analysis.accuracy import loses_accuracy
from tensordyno.analysis.alike import by_question, question, threads_that_matter
from tensordyno.analysis.baseline import references
from tensordyno.analysis.best import best
from tensordyno.analysis.caution import Warning, about, measured
from tensordyno.analysis.gpu_conditions import DISTURBED
from tensordyno.analysis.scores import Score
from tensordyno.store.reader import Run
from tensordyno.vocabulary import Verdict


def mixed_boundaries(run: Run, scores: Sequence[Score]) -> list[Warning]:
    """Host and device trials of one network stand in one run."""
    found = measured(scores)
    boundaries = {
        model: {s.boundary for s in found if s.model == model} for model in {s.model for s in found}
    }
    mixed = [s for s in found if len(boundaries[s.model]) > 1]
    sentence = "Some trials include the copy to and from the device and some do not; they are never compared."
    return about("mixed-boundaries", sentence, mixed)


def faster_but_unstable(run: Run, scores: Sequence[Score]) -> list[Warning]:
    """The best VALID trial is named, and one that did not settle was faster even at its slowest bound."""
    found: list[Warning] = []
    for answer in best(scores):
        winner = answer.throughput
        rivals = [
            s
            for s in measured(scores)
            if s.verdict is Verdict.UNSTABLE
            and s.slug not in DISTURBED
            and question(s) == answer.question
            and s.images_per_s is not None
            and not loses_accuracy(s)
            and s.images_per_s.is_bounded
            and s.images_per_s.low > winner.value.value
        ]
        sentence = (
            f"{answer.question.model}: the best VALID trial is {winner.score.trial}; faster ones did not "
            "settle in the time allowed and are not ranked. Measure longer before choosing."
        )
        found += about("faster-but-unstable", sentence, rivals)
    return found


def threads_differ(run: Run, scores: Sequence[Score]) -> list[Warning]:
    """Trials that answer one question ran with different numbers of threads."""
    found: list[Warning] = []
    for asked, members in by_question(measured(scores)):
        threads = sorted({t for s in members if (t := threads_that_matter(s)) is not None})
        if len(threads) > 1:
            counts = ", ".join(map(str, threads))
            sentence = f"Trials of {asked.model} on {asked.device} ran with {counts} threads: not alike."
            found += about("threads-differ", sentence, members)
    return found


def baseline_missing(run: Run, scores: Sequence[Score]) -> list[Warning]:
    """Ratios were asked for, and some trials have nothing to refer to."""
    baseline = run.header.baseline
    if not baseline:
        return []
    reference = references(scores, baseline)
    places = {(r.model, r.dataset, r.boundary, r.device, r.devices, r.nodes, r.batch_size) for r in reference}
    lonely = [
        s
        for s in measured(scores)
        if (s.model, s.dataset, s.boundary, s.device, s.devices, s.nodes, s.batch_size) not in places
    ]
    sentence = f"No valid fp32 trial of the baseline '{baseline}' at the same batch size: no ratio."
    return about("baseline-missing", sentence, lonely)
