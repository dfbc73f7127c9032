from fake_worker import trial
from msgspec.structs import replace

from tensordyno.datasets.base import DataRequest
from tensordyno.datasets.requests import to_calibrate, to_test
from tensordyno.records.calibration import Calibration

TRIAL = replace(trial(), dataset="photos", seed=4, skip_unreadable=True)


def test_answers_are_counted_on_the_test_split():
    assert to_test(TRIAL) == DataRequest(name="photos", seed=4, skip_unreadable=True)
    assert to_test(replace(TRIAL, hold_out=True)).hold_out


def test_ranges_come_from_the_rest_of_the_same_images():
    asked = replace(TRIAL, hold_out=True, calibration=Calibration(seed=9))
    wanted = DataRequest(name="photos", seed=4, skip_unreadable=True, split="calibration", hold_out=True)
    assert to_calibrate(asked) == DataRequest(**(vars(wanted) | {"shuffle": 9}))
    assert to_calibrate(replace(TRIAL, hold_out=True)) == wanted


def test_data_of_their_own_are_used_whole_unless_they_are_the_tested_ones():
    asked = replace(TRIAL, hold_out=True, calibration=Calibration(data="others"))
    assert (to_calibrate(asked).name, to_calibrate(asked).hold_out) == ("others", False)
    same = replace(asked, calibration=Calibration(data="photos"))
    assert (to_calibrate(same).name, to_calibrate(same).hold_out) == ("photos", True)
