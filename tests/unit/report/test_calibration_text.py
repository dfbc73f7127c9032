"""How the INT8 builds were calibrated, in words."""

from dataclasses import replace as changed

from made_int8_run import KEPT
from msgspec.structs import replace

from tensordyno.report.calibration_text import calibrations


def with_facts(run, **fields):
    return changed(
        run,
        outcomes=tuple(
            replace(o, calibration=replace(o.calibration, **fields)) if o.calibration else o
            for o in run.outcomes
        ),
    )


def test_images_method_reuse_and_layers_of_each_network(int8):
    lenet, resnet = calibrations(int8[0])
    assert lenet.name == "lenet5_fashion" and not lenet.tables
    assert lenet.sentences == (
        "Ranges by entropy, from 1,250 images of fashion (the first in stored order, read 25 at a time, "
        "content c0ffeec0ffee).",
        "The pass over the images took 4.31 s, once: openvino(hint=throughput) reuses it.",
        "All 10 layers with weights are in INT8.",
    )
    assert resnet.sentences[0].startswith("Ranges by entropy, chosen among the methods below, from 1,250 ")
    assert resnet.sentences[2] == (
        f"9 of 10 layers with weights are in INT8; in FP32 stays {KEPT} (the most sensitive layer)."
    )


def test_the_methods_tried_are_a_table_with_the_chosen_one_marked(int8):
    (table,) = calibrations(int8[0])[1].tables
    assert table.caption == "Methods tried on 250 held back calibration images"
    assert [row[0] for row in table.rows] == ["minmax", "percentile:99.99", "mse", "entropy (chosen)"]
    assert table.rows[0] == ("minmax", "29.2 dB", "97.40 %", "0.28")


def test_without_labels_nothing_lost_is_claimed(int8):
    tried = tuple(replace(m, drop=None) for m in calibrations_of(int8[0]).tried)
    (table,) = calibrations(with_facts(int8[0], tried=tried))[1].tables
    assert {row[-1] for row in table.rows} == {"–"}


def calibrations_of(run):
    return next(o.calibration for o in run.outcomes if o.calibration and o.calibration.tried)


def test_a_calibration_from_the_cache_ran_no_image(int8):
    told = calibrations(with_facts(int8[0], reused=True))[0].sentences[1]
    assert told == "The calibration was in the cache: no image was run (making it had taken 4.31 s)."


def test_one_engine_reuses_nothing(study):
    one = changed(study[0], outcomes=tuple(o for o in study[0].outcomes if o.trial.id.endswith(".000")))
    (network,) = calibrations(one)
    assert "The pass over the images took 4.31 s." in network.sentences


def test_a_drawn_sample_names_its_seed(study):
    one = changed(study[0], outcomes=tuple(o for o in study[0].outcomes if o.trial.id.endswith(".001")))
    assert "(drawn with seed 1, read 5 at a time" in calibrations(one)[0].sentences[0]


def test_many_calibrations_are_summed_up(study):
    (network,) = calibrations(study[0])
    assert network.sentences == (
        "96 calibrations on images of fashion: by minmax, percentile:99.99, mse and entropy, on 25 to 1,250 "
        "images, read 5 to 25 at a time, 3 draws of images (seeds).",
    )


def test_no_int8_no_text(run):
    assert calibrations(run) == ()
