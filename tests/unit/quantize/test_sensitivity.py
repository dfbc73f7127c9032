from tensordyno.quantize.score import Judgement
from tensordyno.quantize.sensitivity import MOST_IMAGES, rank


class Court:
    """Knows the SQNR of each layer."""

    def __init__(self, **levels):
        self.levels = levels
        self.asked = []

    def judge(self, placement, threshold, most):
        self.asked.append((placement, threshold, most))
        return Judgement(self.levels[placement], 1.0, None)


def test_each_layer_alone_most_sensitive_first():
    court, heard = Court(a=30.0, b=-5.0, c=None, d=160.0), []
    ranking = rank(court, ("a", "b", "c", "d"), str, "threshold", lambda *step: heard.append(step))
    assert list(ranking.items()) == [("b", -5.0), ("a", 30.0), ("c", 150.0), ("d", 150.0)]
    assert court.asked == [(layer, "threshold", MOST_IMAGES) for layer in "abcd"]
    assert heard == [(done, 4) for done in range(5)]
