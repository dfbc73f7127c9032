"""The editorial file."""

from tensordyno.figures.base import FIGURES
from tensordyno.report.outline import FIGURES_IN_ORDER, OUTLINE, filled, is_timed, sections

TIMED = ("batch", "memory", "baseline", "devices", "ceilings", "energy", "int8", "start", "latency")


def anchors(found):
    return [section.anchor for section in found]


def test_the_answer_comes_first_and_anchors_are_unique():
    assert OUTLINE[0].part == "answer" and OUTLINE[1].part == "trials"
    assert len({s.anchor for s in OUTLINE}) == len(OUTLINE)


def test_a_section_holds_figures_or_a_part_or_both():
    assert all(s.part or s.figures for s in OUTLINE)


def test_figures_exist_and_stand_once():
    assert sorted(FIGURES_IN_ORDER) == sorted(FIGURES.names())


def test_a_run_that_timed_something_may_have_every_section(rows, int8, untimed):
    assert sections(rows) == OUTLINE and sections(int8[1]) == OUTLINE and sections(()) == OUTLINE
    assert is_timed([*untimed[1], rows[0]])


def test_right_answers_alone_come_first_and_nothing_is_about_speed(untimed):
    found = sections(untimed[1])
    assert anchors(found)[:4] == ["answer", "accuracy", "calibration", "trials"]
    assert not any(section.timed for section in found)
    assert set(anchors(OUTLINE)) - set(anchors(found)) == set(TIMED)


def test_an_empty_section_is_left_out_and_an_empty_part_too():
    found = {s.anchor: s for s in filled(OUTLINE, {"answer"}, {"accuracy", "pareto"})}
    assert list(found) == ["answer", "batch", "accuracy"]
    assert found["accuracy"].part == "" and found["accuracy"].figures == ("accuracy",)
    assert found["batch"].figures == ("pareto",)


def test_a_run_without_int8_says_nothing_of_it(made):
    assert "int8" not in anchors(made.outline) and "calibration" not in anchors(made.outline)
    assert not {"int8-speedup", "calibration-study", "layer-sensitivity"} & set(made.drawings)


def test_a_run_on_gpus_has_its_sections(gpu):
    found = {section.anchor: section for section in gpu[2].outline}
    assert found["memory"].part == "memory" and found["memory"].figures == ("device-memory",)
    assert found["energy"].figures == ("efficiency",)


def test_a_plain_run_says_nothing_of_memory_and_energy(made):
    assert not {"memory", "energy", "devices"} & set(anchors(made.outline))


def test_a_run_with_int8_has_its_sections(int8):
    made = int8[2]
    assert {"int8", "accuracy", "calibration"} <= set(anchors(made.outline))
    assert next(s for s in made.outline if s.anchor == "calibration").figures == ("layer-sensitivity",)
