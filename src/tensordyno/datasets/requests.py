"""Which images a trial is tested on, and which ones it is calibrated on: never the same."""

from tensordyno.datasets.base import DataRequest
from tensordyno.records.trial import Trial


def to_test(trial: Trial) -> DataRequest:
    """The images that a trial is verified on and its right answers are counted on."""
    return DataRequest(
        name=trial.dataset, seed=trial.seed, skip_unreadable=trial.skip_unreadable, hold_out=trial.hold_out
    )


def to_calibrate(trial: Trial) -> DataRequest:
    """The images that an INT8 trial is calibrated on, in the order of its calibration's seed.

    They are the calibration's own data, or that split of the trial's dataset.
    """
    data = trial.calibration.data if trial.calibration else None
    return DataRequest(
        name=data or trial.dataset,
        seed=trial.seed,
        skip_unreadable=trial.skip_unreadable,
        split="calibration",
        hold_out=trial.hold_out and data in (None, trial.dataset),
        shuffle=trial.calibration.seed if trial.calibration else 0,
    )
