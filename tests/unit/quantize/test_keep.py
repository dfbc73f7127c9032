from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensordyno.quantize.keep import keep_until, steps_up_to
from tensordyno.quantize.score import Judgement

LAYERS = tuple("abcdefgh")


def keep(losses, bound=0.01):
    """What is kept when so many layers in FP32 leave such a loss; and the numbers that were judged."""
    asked, heard = [], []

    def judge(kept):
        asked.append(len(kept))
        assert kept == LAYERS[: len(kept)]
        return Judgement(20.0, 0.9, losses[len(kept)])

    return keep_until(LAYERS, bound, judge, lambda *step: heard.append(step)), asked


def test_nothing_is_kept_when_nothing_is_lost():
    kept, asked = keep([0.01] * 8)
    assert kept.layers == () and asked == [0]


def test_more_and_more_until_the_loss_is_within_the_bound():
    kept, asked = keep([0.5, 0.4, 0.3, 0.2, 0.1, 0.05, 0.005, 0.0])
    assert asked == [0, 1, 2, 3, 4, 6] and kept == (tuple("abcdef"), 0.005)


def test_when_nothing_helps_the_best_with_the_fewest_is_kept():
    kept, asked = keep([0.5, 0.2, 0.3, 0.2, 0.4, 0.4, 0.4, 0.4])
    assert kept == (("a",), 0.2) and asked == [0, 1, 2, 3, 4, 6, 7]  # never all eight


def test_more_right_answers_than_fp32_are_no_loss():
    assert keep([-0.1] * 8, bound=0.0)[0].layers == ()


@given(st.integers(0, 500))
def test_steps_grow_and_reach_the_end(most):
    steps = steps_up_to(most)
    assert steps[0] == 0 and steps[-1] == most
    assert all(a < b for a, b in pairwise(steps))
    assert len(steps) < 22


@pytest.mark.parametrize("most", [0, 1])
def test_few_layers(most):
    assert steps_up_to(most) == tuple(range(most + 1))
