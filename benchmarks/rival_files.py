r"""Quantizes a prepared FP32 network with other tools, on the images that ours would be calibrated on.

    python benchmarks/rival_files.py --tool nncf --model FP32.onnx --look resnet20_cifar \
        --data cifar10.npz --to FILE.onnx

`dyno accuracy FILE.onnx --precision int8` and `dyno infer FILE.onnx --precision int8` then judge the file
like any other. FP32.onnx is the `model.onnx` of a prepared network in the cache. NNCF's dependencies differ
from ours: run this script by the interpreter of an environment that holds `nncf`, `onnx` and `onnxruntime`.
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx

from tensordyno.datasets.base import DataRequest, FloatArray, InputFormat, open_dataset
from tensordyno.models.base import cards

BATCH = 25


def images_of(arguments: argparse.Namespace) -> Iterator[FloatArray]:
    """Batches of calibration images, preprocessed as the network wants them."""
    card = cards()[arguments.look]
    wanted = InputFormat(shape=card.input_shape, classes=card.classes, preprocessing=card.preprocessing)
    dataset = open_dataset(DataRequest(name=arguments.data, split="calibration"))
    for batch in dataset.batches(BATCH, wanted, arguments.images):
        yield batch.images


def with_ort_static(arguments: argparse.Namespace) -> None:
    """ONNX Runtime's static quantization: entropy, per channel, the number formats that are fast on x86."""
    from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantType, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._batches = images_of(arguments)

        def get_next(self) -> dict[str, FloatArray] | None:
            images = next(self._batches, None)
            return None if images is None else {"images": images}

    quantize_static(
        arguments.model,
        arguments.to,
        Reader(),
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        calibrate_method=CalibrationMethod.Entropy,
    )


def with_nncf(arguments: argparse.Namespace) -> None:
    """NNCF's post-training quantization with its defaults, as many images as ours."""
    import nncf

    batches = [np.ascontiguousarray(images) for images in images_of(arguments)]
    data = nncf.Dataset(batches, lambda images: {"images": images})
    made = nncf.quantize(onnx.load(arguments.model), data, subset_size=len(batches))
    onnx.save(made, arguments.to)


TOOLS = {"nncf": with_nncf, "ort-static": with_ort_static}


def main() -> None:
    """Quantize, and say how long it took."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--tool", choices=sorted(TOOLS), required=True)
    arguments.add_argument("--model", type=Path, required=True)
    arguments.add_argument("--look", required=True, help="network of the catalogue whose preprocessing holds")
    arguments.add_argument("--data", default="synthetic")
    arguments.add_argument("--images", type=int, default=1250)
    arguments.add_argument("--to", type=Path, required=True)
    given = arguments.parse_args()
    start = time.perf_counter()
    TOOLS[given.tool](given)
    print(f"{given.tool}: {time.perf_counter() - start:.1f} s for {given.to}")


if __name__ == "__main__":
    main()
