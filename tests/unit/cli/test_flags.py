import click
import pytest

from tensordyno.cli.flags import (
    CALIBRATION,
    MEASURE,
    calibration_options,
    check_calibration_matters,
    engines_for,
    raw_spec,
)
from tensordyno.errors import UsageError
from tensordyno.records.trial import EngineChoice
from tensordyno.spec import rules
from tensordyno.spec.schema import CalibrationAxes, ModelChoice, Spec
from tensordyno.spec.yaml_file import spec_from_flags
from tensordyno.vocabulary import Precision

NONE = dict.fromkeys((*CALIBRATION, *MEASURE))
WHOLE = {"models": ["a"], "engines": "torch"}


def test_every_key_of_a_calibration_has_its_flag():
    assert set(CALIBRATION.values()) == set(rules.CALIBRATION)
    command = calibration_options(click.Command("c"))
    assert [option.name for option in command.params][::-1] == [*CALIBRATION, "preprocess"]


def test_what_was_not_said_is_not_asked():
    assert raw_spec(NONE | {"seed": None}, {"seed": "seed"}) == ({}, {})


def test_flags_become_keys_and_keep_their_names():
    said = NONE | {"batch": "1,8", "calibration": "10x5", "calibration_seed": "1,2", "min_seconds": 3.0}
    raw, origins = raw_spec(said, {"batch": "batch_sizes"})
    assert raw == {
        "batch_sizes": "1,8",
        "calibration": {"images": "10x5", "seeds": "1,2"},
        "measure": {"min_seconds": 3.0},
    }
    assert origins == {
        "batch_sizes": "--batch",
        "calibration": "--calibration, --calibration-seed",
        "calibration.images": "--calibration",
        "calibration.seeds": "--calibration-seed",
        "measure": "--min-seconds",
        "measure.min_seconds": "--min-seconds",
    }


def test_flags_that_keep_a_layer_say_no_to_int8():
    raw, origins = raw_spec(NONE | {"fp32_first": True, "fp32_last": True, "keep_fp32": "3"}, {})
    axes = spec_from_flags(raw | WHOLE, origins).spec.calibration
    assert axes == CalibrationAxes(first_layer=False, last_layer=False, keep_fp32=3)


def test_a_flag_that_denies_makes_its_key_false():
    keys = {"no_ceilings": "ceilings"}
    assert raw_spec(NONE | {"no_ceilings": True}, keys) == (
        {"ceilings": False},
        {"ceilings": "--no-ceilings"},
    )
    assert raw_spec(NONE | {"no_ceilings": None}, keys) == ({}, {})


@pytest.mark.parametrize(
    ("devices", "engines"),
    [("cpu", "c"), ("cuda", "g"), ("cuda:0, cuda:1", "g"), ("cuda:0,cpu", "c"), ("tpu", "c"), ("", "c")],
)
def test_engines_follow_the_devices(devices, engines):
    assert engines_for(devices, "c", "g") == engines


def test_a_calibration_without_int8_is_told():
    def asked(*precisions):
        return Spec(models=(ModelChoice(name="a"),), engines=(EngineChoice(name="b"),), precisions=precisions)

    said = NONE | {"method": "mse", "keep_fp32": "2"}
    check_calibration_matters(asked(Precision.FP32, Precision.INT8), said)
    check_calibration_matters(asked(Precision.FP32), NONE)
    with pytest.raises(UsageError, match="--method, --keep-fp32 would change nothing") as caught:
        check_calibration_matters(asked(Precision.FP32, Precision.BF16), said)
    assert caught.value.slug == "calibration-without-int8" and "--precision" in caught.value.remedy
