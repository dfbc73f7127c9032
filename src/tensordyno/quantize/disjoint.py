"""No image may both calibrate and test: accuracy would be told on images that the ranges were fitted to."""

from collections.abc import Iterable

from tensordyno.errors import DataError


def check_disjoint(
    calibration: Iterable[str], test: Iterable[str], calibration_name: str, test_name: str
) -> None:
    """Compare the fingerprints of calibration and test images; copies and other file names do not hide one.

    Raises DataError (`calibration-overlaps`) with the number of images that are in both.
    """
    tested = set(test)
    shared = [fingerprint for fingerprint in calibration if fingerprint in tested]
    if not shared:
        return
    are = "image is" if len(shared) == 1 else "images are"
    where = "" if calibration_name == test_name else f" ({test_name})"
    raise DataError(
        "calibration-overlaps",
        f"{len(shared)} calibration {are} among the test images{where}: {calibration_name} is used for both.",
        "Give other images: --calibration-data DIR; or leave that out, and a fifth of the data is kept.",
    )
