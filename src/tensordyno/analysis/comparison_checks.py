"""Warnings about comparisons: what stands side by side but is not alike."""

from collections.abc import Sequence

from tensordyno.analysis.alike import by_question
from tensordyno.analysis.baseline import references
from tensordyno.analysis.caution import Warning, about, measured
from tensordyno.analysis.scores import Score
from tensordyno.store.reader import Run


def mixed_boundaries(run: Run, scores: Sequence[Score]) -> list[Warning]:
    """Host and device trials of one network stand in one run."""
    found = measured(scores)
    boundaries = {
        model: {s.boundary for s in found if s.model == model} for model in {s.model for s in found}
    }
    mixed = [s for s in found if len(boundaries[s.model]) > 1]
    sentence = "Some trials include the copy to and from the device and some do not; they are never compared."
    return about("mixed-boundaries", sentence, mixed)


def threads_differ(run: Run, scores: Sequence[Score]) -> list[Warning]:
    """Trials that answer one question ran with different numbers of threads."""
    found: list[Warning] = []
    for question, members in by_question(measured(scores)):
        threads = sorted({s.threads for s in members if s.threads is not None})
        if len(threads) > 1:
            counts = ", ".join(map(str, threads))
            sentence = (
                f"Trials of {question.model} on {question.device} ran with {counts} threads: not alike."
            )
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
