"""Two builds' answers to the same labelled images: what one gets right and the other wrong, with intervals.

Both see the same images, so that only the images on which they differ tell anything: with b right here
and wrong there, and c the other way round, the difference of the two accuracies is (b - c) / n, and its
interval is far narrower than those of the accuracies themselves.
"""

import math
from collections.abc import Iterator
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from tensordyno.records.base import Record
from tensordyno.store.reader import AnswerArray
from tensordyno.timing.intervals import CONFIDENCE, Interval

BoolArray = NDArray[np.bool_]

WORST_CLASSES = 5
_Z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
_LABEL, _FIRST, _RANK = 0, 1, 2  # columns of a table of answers
_TOP5 = 5
_EXACT = 1000  # discordant images up to which binomial coefficients are computed as integers


class ClassDrop(Record, frozen=True, kw_only=True):
    """One class of which fewer images are right here than there; `difference` is here minus there."""

    label: int
    images: int
    right: int  # here
    right_there: int
    difference: Interval


class Paired(Record, frozen=True, kw_only=True):
    """Our answers against theirs. Differences are ours minus theirs as fractions: below 0 we are worse."""

    images: int
    difference: Interval  # of top-1
    top5_difference: Interval
    p_value: float  # of top-1: mid-p McNemar, two-sided
    agreement: float  # fraction of images with the same first class, right or wrong
    gained: int  # images whose first class is right in ours only
    lost: int  # images whose first class is right in theirs only
    worst_classes: tuple[ClassDrop, ...] = ()


def paired(ours: AnswerArray, theirs: AnswerArray) -> Paired | None:
    """Compare two tables of answers, int32 (images, 3) as in `store.layout`; None without images.

    Raises ValueError unless both are about the same images: equally many, with the same labels in the
    same order.
    """
    if ours.shape != theirs.shape or not np.array_equal(ours[:, _LABEL], theirs[:, _LABEL]):
        raise ValueError("the two tables of answers are not about the same images")
    if not len(ours):
        return None
    right, right_there = (table[:, _RANK] == 0 for table in (ours, theirs))
    gained, lost = _discordant(right, right_there)
    top5 = _discordant(*(table[:, _RANK] < _TOP5 for table in (ours, theirs)))
    return Paired(
        images=len(ours),
        difference=paired_difference(gained, lost, len(ours)),
        top5_difference=paired_difference(*top5, len(ours)),
        p_value=mcnemar(gained, lost),
        agreement=float((ours[:, _FIRST] == theirs[:, _FIRST]).mean()),
        gained=gained,
        lost=lost,
        worst_classes=_worst_classes(ours[:, _LABEL], right, right_there),
    )


def paired_difference(gained: int, lost: int, total: int) -> Interval:
    """(gained - lost) / total with the adjusted Wald 95 % interval of Bonett & Price.

    With p = (gained + 1) / (n + 2), q = (lost + 1) / (n + 2) and d = p - q the interval is
    d -+ z sqrt((p + q - d^2) / (n + 2)) (Bonett & Price, Journal of Educational and Behavioral
    Statistics 37, 2012, 479-488; recommended by Fagerland, Lydersen & Laake, Statistics in Medicine 33,
    2014). It holds with few discordant images too, and has a width when there are none: n equal answers
    do not prove that no image in the world would differ. Raises ValueError unless the counts are possible
    and `total` is at least 1.
    """
    if gained < 0 or lost < 0 or total < 1 or gained + lost > total:
        raise ValueError(f"{gained} gained and {lost} lost of {total} are not possible")
    p, q = (gained + 1) / (total + 2), (lost + 1) / (total + 2)
    half = _Z * math.sqrt((p + q - (p - q) ** 2) / (total + 2))
    value = (gained - lost) / total
    return Interval(
        value=value,
        low=max(-1.0, min(p - q - half, value)),
        high=min(1.0, max(p - q + half, value)),
    )


def mcnemar(gained: int, lost: int) -> float:
    """Two-sided mid-p value of McNemar's exact test that both are right equally often.

    Given the discordant images each falls on either side with probability 1/2; the mid-p counts the
    observed split half (Fagerland, Lydersen & Laake, BMC Medical Research Methodology 13:91, 2013). It is
    1 when no image is discordant. Raises ValueError for a negative count.
    """
    if gained < 0 or lost < 0:
        raise ValueError(f"{gained} gained and {lost} lost are not possible")
    fewer, discordant = min(gained, lost), gained + lost
    if not discordant:
        return 1.0
    observed, *further = _halves(fewer, discordant)
    if gained == lost:
        return 1 - observed / 2
    return observed + 2 * math.fsum(further)


def _halves(fewer: int, total: int) -> Iterator[float]:
    """P(Bin(total, 1/2) = k) for k = fewer, fewer - 1, ..., 0, until nothing more is added.

    The ratio of neighbours is k / (total - k + 1), at most 1 for fewer <= total / 2.
    """
    if total <= _EXACT:
        first = mass = math.comb(total, fewer) / 2**total
    else:
        logs = math.lgamma(total + 1) - math.lgamma(fewer + 1) - math.lgamma(total - fewer + 1)
        first = mass = math.exp(logs - total * math.log(2))
    yield first
    for k in range(fewer, 0, -1):
        mass *= k / (total - k + 1)
        if mass <= first * 1e-17:
            return
        yield mass


def _discordant(ours: BoolArray, theirs: BoolArray) -> tuple[int, int]:
    """Images right in ours only, and in theirs only."""
    return int((ours & ~theirs).sum()), int((theirs & ~ours).sum())


def _worst_classes(
    labels: NDArray[np.int32], right: BoolArray, right_there: BoolArray
) -> tuple[ClassDrop, ...]:
    """The classes that lost most, at most five.

    Ordered by (gained - lost) / (images + 2), the middle of the interval: a class of two images that lost
    one does not come before a class of fifty that lost ten.
    """
    count = int(labels.max()) + 1
    images, gained, lost = (
        np.bincount(labels[mask], minlength=count)
        for mask in (np.ones(len(labels), dtype=bool), right & ~right_there, right_there & ~right)
    )
    middle = (gained - lost) / (images + 2)
    worst = [int(c) for c in np.argsort(middle, kind="stable")[:WORST_CLASSES] if middle[c] < 0]
    hits, hits_there = (np.bincount(labels[mask], minlength=count) for mask in (right, right_there))
    return tuple(
        ClassDrop(
            label=c,
            images=int(images[c]),
            right=int(hits[c]),
            right_there=int(hits_there[c]),
            difference=paired_difference(int(gained[c]), int(lost[c]), int(images[c])),
        )
        for c in worst
    )
