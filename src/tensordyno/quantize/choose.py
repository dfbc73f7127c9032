"""`--method auto`: every method judged on images that its ranges do not come from, the best one kept."""

from collections.abc import Callable

from tensordyno.quantize.base import Placement
from tensordyno.quantize.held_back import HeldBack
from tensordyno.quantize.methods.base import method
from tensordyno.quantize.score import Judgement
from tensordyno.records.calibration import MethodScore

LUCK = 2  # images: on a few hundred, losing so many more says nothing about a method
CANDIDATES = ("minmax", "percentile:99.9", "percentile:99.99", "mse", "entropy")


def choose(
    court: HeldBack, placement: Placement, progress: Callable[[int, int], None]
) -> tuple[MethodScore, ...]:
    """The candidates, best first: by the images lost, then by the SQNR of the logits.

    With labels an image is lost when its answer is right in FP32 and wrong in INT8 (less those the other
    way round), without when the first class changes. Those that lost at most two images more than the best
    are equals, among which the SQNR decides. `progress` hears (methods judged, methods).
    """
    judged: list[tuple[str, Judgement]] = []
    for name in CANDIDATES:
        progress(len(judged), len(CANDIDATES))
        judged.append((name, court.judge(placement, method(name))))
    progress(len(judged), len(CANDIDATES))
    bound = min(judgement.loss for _, judgement in judged) + (LUCK + 0.5) / court.images
    return tuple(
        MethodScore(
            method=name,
            images=court.images,
            sqnr_db=judgement.sqnr_db,
            agreement=judgement.agreement,
            drop=judgement.drop,
        )
        for name, judgement in sorted(judged, key=lambda pair: _badness(pair[1], bound))
    )


def _badness(judgement: Judgement, bound: float) -> tuple[float, float]:
    beyond = judgement.loss if judgement.loss > bound else 0.0
    return beyond, -(float("inf") if judgement.sqnr_db is None else judgement.sqnr_db)
