"""The editorial file."""

from tensordyno.figures.base import FIGURES
from tensordyno.report.outline import FIGURES_IN_ORDER, OUTLINE


def test_the_answer_comes_first_and_anchors_are_unique():
    assert OUTLINE[0].part == "answer" and OUTLINE[1].part == "trials"
    assert len({s.anchor for s in OUTLINE}) == len(OUTLINE)


def test_a_section_holds_figures_or_a_part():
    assert all(bool(s.part) != bool(s.figures) for s in OUTLINE)


def test_figures_exist_and_stand_once():
    assert sorted(FIGURES_IN_ORDER) == sorted(FIGURES.names())
