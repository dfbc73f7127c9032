"""Warnings about right answers: what a faster number format cost, and how well its ranges are founded."""

from collections.abc import Sequence

from tensordyno.analysis.accuracy import is_unproved, loses_accuracy
from tensordyno.analysis.caution import Warning, about
from tensordyno.analysis.scores import Score
from tensordyno.records.calibration import CalibrationFacts, LayerFacts
from tensordyno.records.outcome import Outcome
from tensordyno.store.reader import Run
from tensordyno.units import points_text
from tensordyno.vocabulary import Precision

FEWEST_IMAGES = 100  # that a calibration should have seen
_MOST_NAMED = 6  # layers, or warnings of one calibration table

Found = tuple[Outcome, CalibrationFacts]


def int8_drop(run: Run, scores: Sequence[Score]) -> list[Warning]:
    """INT8 gives fewer right answers than FP32, by more than a point and beyond doubt."""
    losers = [s for s in scores if loses_accuracy(s) and s.precision == Precision.INT8]
    return about("int8-drop", f"INT8 costs right answers: {_worst(losers)}", losers)


def accuracy_drop(run: Run, scores: Sequence[Score]) -> list[Warning]:
    """The same of another number format."""
    losers = [s for s in scores if loses_accuracy(s) and s.precision != Precision.INT8]
    return about("accuracy-drop", f"A number format costs right answers: {_worst(losers)}", losers)


def int8_unproved(run: Run, scores: Sequence[Score]) -> list[Warning]:
    """A trained network runs in INT8, and no labelled image was answered in both INT8 and FP32."""
    sentence = (
        "Nobody knows how many right answers INT8 costs here: no labelled images were answered in both INT8 "
        "and FP32."
    )
    return about("int8-unproved", sentence, [s for s in scores if s.verdict.is_measured and is_unproved(s)])


def calibrated_on_noise(run: Run, scores: Sequence[Score]) -> list[Warning]:
    """The ranges come from images or activations that no trained network sees."""
    noisy = {o.trial.id for o, facts in _calibrated(run) if _is_noise(o, facts)}
    sentence = (
        "INT8 ranges were calibrated on synthetic images or with random weights: speed is right, answers "
        "mean nothing."
    )
    concerned = [s for s in scores if s.verdict.is_measured and s.trial in noisy]
    return about("calibrated-on-noise", sentence, concerned)


def few_calibration_images(run: Run, scores: Sequence[Score]) -> list[Warning]:
    """Fewer images than ranges should rest on."""
    few = {o.trial.id: facts.images for o, facts in _calibrated(run) if facts.images < FEWEST_IMAGES}
    fewest = min(few.values(), default=0)
    sentence = (
        f"INT8 was calibrated on {fewest} image{'' if fewest == 1 else 's'}; below {FEWEST_IMAGES} its "
        "ranges depend on which images these are."
    )
    return about("few-calibration-images", sentence, [s for s in scores if s.trial in few])


def calibration_warned(run: Run, scores: Sequence[Score]) -> list[Warning]:
    """What a calibration table itself warns of: sentences that end with their slug in brackets."""
    concerned: dict[tuple[str, str], list[str]] = {}
    for outcome, facts in _calibrated(run):
        for text in facts.warnings:
            sentence, _, slug = text.rstrip("]").rpartition(" [")
            if sentence and slug != "few-calibration-images":  # said once, by the check above
                concerned.setdefault((slug, sentence), []).append(outcome.trial.id)
    return [
        Warning(slug=slug, sentence=sentence, trials=tuple(trials))
        for (slug, sentence), trials in concerned.items()
    ]


def int8_partly(run: Run, scores: Sequence[Score]) -> list[Warning]:
    """The engine computes some layers in another number format although the table puts them in INT8."""
    wanted = {o.trial.id: facts.int8_layers for o, facts in _calibrated(run)}
    partly = [s for s in scores if s.int8_layers is not None and s.int8_layers < wanted.get(s.trial, 0)]
    sentence = "; ".join(
        dict.fromkeys(
            f"{s.engine} runs {s.int8_layers} of the {wanted[s.trial]} INT8 layers of {s.model} in INT8"
            for s in partly
        )
    )
    return about("int8-partly", f"{sentence}; the others in a float format.", partly)


def kept_fp32(run: Run, scores: Sequence[Score]) -> list[Warning]:
    """Layers with weights that the calibration left in FP32, one list a network and calibration."""
    kept: dict[tuple[str, tuple[LayerFacts, ...], int], list[str]] = {}
    for outcome, facts in _calibrated(run):
        if facts.fp32_layers:
            key = (outcome.trial.model, facts.fp32_layers, facts.int8_layers)
            kept.setdefault(key, []).append(outcome.trial.id)
    return [
        Warning(slug="kept-fp32", sentence=_kept(model, layers, int8), trials=tuple(trials))
        for (model, layers, int8), trials in kept.items()
    ]


def _calibrated(run: Run) -> list[Found]:
    return [(o, o.calibration) for o in run.outcomes if o.calibration]


def _is_noise(outcome: Outcome, facts: CalibrationFacts) -> bool:
    random = outcome.model is not None and outcome.model.weights == "random"
    return random or facts.data == "synthetic"


def _worst(losers: Sequence[Score]) -> str:
    """The trial that lost most, in words; there may be none."""
    lost = [(s.top1_difference.value, s.trial, s.top1_difference) for s in losers if s.top1_difference]
    if not lost:
        return ""
    _, trial, difference = min(lost, key=lambda one: one[:2])
    text = points_text(difference.value, difference.low, difference.high)
    return f"{trial} loses most, top-1 {text} against FP32. Such trials are not recommended."


def _kept(model: str, layers: Sequence[LayerFacts], int8: int) -> str:
    shown = [
        f"{layer.name} ({layer.reason})" if layer.reason else layer.name for layer in layers[:_MOST_NAMED]
    ]
    more = f" and {len(layers) - _MOST_NAMED} more" if len(layers) > _MOST_NAMED else ""
    count = f"{len(layers)} of {len(layers) + int8} layers with weights stay in FP32"
    return f"{model}: {count}: {', '.join(shown)}{more}."


SHOWN_AT_ONCE = (int8_drop, accuracy_drop, calibrated_on_noise, few_calibration_images, calibration_warned)
