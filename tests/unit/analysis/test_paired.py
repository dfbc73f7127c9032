"""Paired statistics: what they must be exactly, and how often their intervals hold."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensordyno.analysis.paired import mcnemar, paired, paired_difference


def answers(rows):
    return np.array(rows, dtype=np.int32).reshape(-1, 3)


def drawn(images, classes=10, right=0.9, seed=0):
    """Random answers to random labels; of the wrong ones most are in the top five."""
    random = np.random.default_rng(seed)
    labels = random.integers(classes, size=images)
    ranks = np.where(random.random(images) < right, 0, random.integers(1, 8, size=images))
    first = np.where(ranks == 0, labels, (labels + ranks) % classes)
    return answers(np.column_stack((labels, first, ranks)))


COUNTS = st.tuples(st.integers(0, 60), st.integers(0, 60), st.integers(1, 5000)).map(
    lambda c: (c[0], c[1], c[0] + c[1] + c[2])
)


@given(COUNTS)
def test_the_interval_holds_the_value_and_stays_within_bounds(counts):
    found = paired_difference(*counts)
    assert -1 <= found.low <= found.value <= found.high <= 1
    assert found.value == pytest.approx((counts[0] - counts[1]) / counts[2])
    assert found.low < found.high


@given(COUNTS)
def test_exchanging_the_sides_changes_the_sign_alone(counts):
    gained, lost, total = counts
    forth, back = paired_difference(gained, lost, total), paired_difference(lost, gained, total)
    assert (forth.value, forth.low, forth.high) == pytest.approx((-back.value, -back.high, -back.low))
    assert mcnemar(gained, lost) == mcnemar(lost, gained)


@given(COUNTS)
def test_images_that_both_get_right_narrow_the_interval(counts):
    gained, lost, total = counts
    few, many = paired_difference(gained, lost, total), paired_difference(gained, lost, 4 * total)
    assert many.high - many.low < few.high - few.low


@given(st.integers(0, 300), st.integers(0, 300))
def test_mcnemar_is_the_binomial_sum(gained, lost):
    """Against exact rational arithmetic; the usual exact test lies above it."""
    total = gained + lost
    ways = [math.comb(total, k) for k in range(min(gained, lost) + 1)]
    exact = 2 * sum(ways) / 2**total
    expected = 1.0 if not total else exact - ways[-1] / 2**total
    if gained == lost and total:
        expected = 1 - ways[-1] / 2**total / 2
    assert mcnemar(gained, lost) == pytest.approx(expected, rel=1e-9)
    assert 0 < mcnemar(gained, lost) <= 1


@pytest.mark.parametrize("count", [2000, 200_000])
def test_many_discordant_images_stay_finite(count):
    assert mcnemar(count, count) == pytest.approx(1, abs=0.01)
    assert 0 <= mcnemar(2 * count, count) < 1e-30
    off = round(1.96 * math.sqrt(2 * count) / 2)
    assert mcnemar(count + off, count - off) == pytest.approx(0.05, abs=0.003)  # the normal approximation


def test_an_example_worked_out_by_hand():
    """1 against 7 of 21 pairs: the children of Fagerland, Lydersen & Laake (2013, 2014)."""
    assert mcnemar(1, 7) == pytest.approx((2 * 1 + 8) / 256)  # ways: 1 with none, 8 with one; 8 count half
    found = paired_difference(1, 7, 21)
    half = 1.959964 * math.sqrt((10 / 23 - (6 / 23) ** 2) / 23)
    assert (found.low, found.high) == pytest.approx((-6 / 23 - half, -6 / 23 + half), abs=1e-6)
    assert found.value == pytest.approx(-6 / 21)


@pytest.mark.parametrize(
    ("images", "gained", "lost"),
    [
        (500, 0.01, 0.02),
        (2000, 0.0005, 0.003),
        (2000, 0.005, 0.005),
        (2000, 0.02, 0.05),
        (10_000, 0.0, 0.001),
    ],
)
def test_nineteen_of_twenty_intervals_hold_the_truth(images, gained, lost):
    draws = np.random.default_rng(1).multinomial(images, [gained, lost, 1 - gained - lost], size=4000)
    found, counts = np.unique(draws[:, :2], axis=0, return_counts=True)
    held = sum(
        int(n)
        for (g, w), n in zip(found.tolist(), counts, strict=True)
        if (i := paired_difference(g, w, images)).low <= gained - lost <= i.high
    )
    assert held / len(draws) > 0.945  # three standard errors of the simulation are 0.01
    false = sum(int(n) for (g, w), n in zip(found.tolist(), counts, strict=True) if mcnemar(g, w) < 0.05)
    if gained == lost:
        assert false / len(draws) < 0.06


def test_the_interval_agrees_with_a_paired_bootstrap():
    random = np.random.default_rng(2)
    theirs, noise = drawn(2000, seed=3), random.random(2000)
    ours = theirs.copy()
    ours[(noise < 0.03) & (theirs[:, 2] == 0), 2] = 1  # loses some
    ours[(noise > 0.9) & (theirs[:, 2] == 1), 2] = 0
    found = paired(ours, theirs).difference
    change = (ours[:, 2] == 0).astype(int) - (theirs[:, 2] == 0)
    means = change[random.integers(len(change), size=(4000, len(change)))].mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.0015)


@given(st.integers(1, 400), st.integers(0, 1000))
def test_equal_answers_differ_by_nothing(images, seed):
    same = drawn(images, seed=seed)
    found = paired(same, same)
    assert (found.difference.value, found.top5_difference.value, found.p_value) == (0, 0, 1)
    assert (found.agreement, found.gained, found.lost, found.worst_classes) == (1, 0, 0, ())
    assert found.difference.low < 0 < found.difference.high  # so many images prove no more
    assert found.difference.low == -found.difference.high


@given(st.integers(1, 300), st.integers(0, 1000))
def test_the_difference_is_that_of_the_two_accuracies(images, seed):
    theirs = drawn(images, seed=seed)
    other = drawn(images, seed=seed + 1, right=0.7)
    ours = answers(np.column_stack((theirs[:, 0], other[:, 1], other[:, 2])))
    found = paired(ours, theirs)
    for column, value in ((1, found.difference), (5, found.top5_difference)):
        expected = (ours[:, 2] < column).mean() - (theirs[:, 2] < column).mean()
        assert value.value == pytest.approx(expected)
    back = paired(theirs, ours)
    assert (back.gained, back.lost, back.agreement) == (found.lost, found.gained, found.agreement)
    order = np.random.default_rng(seed).permutation(images)
    assert paired(ours[order], theirs[order]) == found


def test_agreement_counts_equal_mistakes():
    theirs = answers([[0, 0, 0], [1, 2, 1], [2, 3, 6]])
    ours = answers([[0, 1, 1], [1, 2, 1], [2, 4, 4]])
    found = paired(ours, theirs)
    assert (found.images, found.gained, found.lost) == (3, 0, 1)
    assert found.agreement == pytest.approx(1 / 3)
    assert found.top5_difference.value == pytest.approx(1 / 3)


def test_the_worst_classes_come_with_their_counts():
    rows = [(label, label, 0) for label, images in enumerate((50, 50, 2, 40)) for _ in range(images)]
    theirs, ours = answers(rows), answers(rows)
    ours[:10, 1:] = (1, 1)  # class 0 loses 10 of 50
    ours[100, 1:] = (1, 1)  # class 2 loses 1 of 2
    theirs[50, 1:] = (3, 1)  # class 1 gains 1
    first, second = paired(ours, theirs).worst_classes
    assert (first.label, second.label) == (2, 0)
    assert (first.images, first.right, first.right_there) == (2, 1, 2)
    assert (second.images, second.right, second.right_there) == (50, 40, 50)
    assert second.difference.value == pytest.approx(-0.2) and second.difference.high < 0
    assert first.difference.high > 0  # one of two proves nothing


def test_at_most_five_classes_are_named():
    theirs = answers([(label, label, 0) for label in range(9) for _ in range(20)])
    ours = theirs.copy()
    for label in range(9):
        ours[20 * label : 20 * label + label, 2] = 1
    assert [c.label for c in paired(ours, theirs).worst_classes] == [8, 7, 6, 5, 4]


@pytest.mark.parametrize("other", [[[1, 0, 0]], [[0, 0, 0], [0, 0, 0]], []])
def test_other_images_are_refused(other):
    with pytest.raises(ValueError, match="not about the same images"):
        paired(answers([[0, 0, 0]]), answers(other))


def test_no_images_give_no_comparison():
    assert paired(answers([]), answers([])) is None


@pytest.mark.parametrize("counts", [(-1, 0, 5), (0, -1, 5), (3, 3, 5), (0, 0, 0)])
def test_impossible_counts(counts):
    with pytest.raises(ValueError, match="not possible"):
        paired_difference(*counts)
    if min(counts) < 0:
        with pytest.raises(ValueError, match="not possible"):
            mcnemar(*counts[:2])


def test_exact_and_approximate_binomials_meet():
    below, above = mcnemar(470, 530), mcnemar(470, 531)  # 1000 and 1001 discordant images
    assert below > above == pytest.approx(below, rel=0.07)
    assert mcnemar(1, 1) == 0.75


def test_the_p_value_falls_as_the_split_becomes_uneven():
    values = [mcnemar(10 + i, 10 - i) for i in range(11)]
    assert all(a > b for a, b in itertools.pairwise(values)) and values[0] < 1
