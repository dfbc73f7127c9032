"""A report's content."""

from dataclasses import replace as changed

from msgspec.structs import replace

from tensordyno.report.document import document, started


def test_title_and_place(made):
    assert made.title == "resnet50 and lenet5_fashion on AMD EPYC 9V45"
    assert made.started == "2026-11-21 10:00 UTC" and made.baseline == "onnxruntime"


def test_the_command_is_what_a_reader_types(run, rows, made):
    assert made.command.startswith("dyno infer resnet50 lenet5_fashion --engine torch,")
    noisy = changed(run, header=replace(run.header, command="dyno --debug infer 'my model' --json"))
    assert document(noisy, rows, ()).command == "dyno infer 'my model'"


def test_warnings_are_those_of_the_analysis(made):
    slugs = [w.slug for w in made.warnings]
    assert slugs[:2] == ["failed", "verification-failed"] and "random-weights" in slugs


def test_started_is_to_the_minute(run):
    assert started(run) == "2026-11-21 10:00 UTC"


def test_right_answers_alone_are_the_answer(untimed):
    made = untimed[2]
    assert made.headline.startswith("INT8 changes top-1 by −0.20 to −0.15 points on 2 networks")
    assert [v.name for v in made.answers] == ["lenet5_fashion", "resnet8_fashion"]
    assert not made.is_timed and made.accuracy and made.calibrations


def test_speed_stays_the_headline_where_something_was_timed(int8):
    assert int8[2].headline.startswith("lenet5_fashion runs fastest on ") and int8[2].is_timed
