from tensordyno.quantize.choose import CANDIDATES, choose
from tensordyno.quantize.score import Judgement


class Court:
    """Answers with the judgements it was given, in the order of the candidates."""

    images = 50

    def __init__(self, *judgements):
        self.judgements = list(judgements)

    def judge(self, placement, threshold):
        return self.judgements.pop(0)


def order(*judgements):
    """Positions of the candidates, best first, and the steps that were heard."""
    heard = []
    scores = choose(Court(*judgements), None, lambda *step: heard.append(step))
    assert heard == [(done, 5) for done in range(6)]
    assert all(score.images == 50 for score in scores)
    return [CANDIDATES.index(score.method) for score in scores]


def test_images_lost_come_before_noise():
    drops = (0.06, 0.0, 0.08, 0.12, 0.10)
    assert order(*(Judgement(30 + n, 0.9, drop) for n, drop in enumerate(drops))) == [1, 0, 2, 4, 3]


def test_two_images_are_luck():
    drops = (0.02, 0.0, 0.04, 0.06, 0.08)  # of 50 images
    assert order(*(Judgement(30 + n, 0.9, drop) for n, drop in enumerate(drops))) == [2, 1, 0, 3, 4]


def test_among_equals_the_least_noise_wins():
    levels = (30.0, 35.0, 33.0, None, 20.0)  # None: bit-identical
    assert order(*(Judgement(level, 0.9, 0.0) for level in levels)) == [3, 1, 2, 0, 4]


def test_more_right_answers_than_fp32_are_luck():
    assert order(*(Judgement(30 + n, 0.9, -n / 50) for n in (4, 3, 2, 1, 0))) == [0, 1, 2, 3, 4]


def test_without_labels_agreement_decides():
    found = order(
        *(Judgement(40.0 - n, agreement, None) for n, agreement in enumerate((0.8, 1, 0.9, 1, 0.7)))
    )
    assert found == [1, 3, 2, 0, 4]
