"""What a reader of a calibration table is warned of: sentences, each ending with its [slug]."""

from collections.abc import Mapping, Sequence

from tensordyno.quantize.histogram import Histogram
from tensordyno.quantize.keep import Kept
from tensordyno.quantize.ranges import zero_tensors

Sentences = tuple[str, ...]  # none, or one

FEW_IMAGES = 100
_SHOWN = 3  # tensors named


def few_images(count: int) -> Sentences:
    """Below 100 images."""
    if count >= FEW_IMAGES:
        return ()
    images = "1 image" if count == 1 else f"{count} images"
    return (
        f"Calibrated on {images} only: with fewer than {FEW_IMAGES}, chance decides about the ranges. "
        "[few-calibration-images]",
    )


def zero_ranges(tensors: Sequence[str], histograms: Mapping[str, Histogram]) -> Sentences:
    """Tensors that were 0 throughout: dead units, or images that do not show what the network looks for."""
    zeros = zero_tensors(tensors, histograms)
    if not zeros:
        return ()
    names = ", ".join(zeros[:_SHOWN]) + (", ..." if len(zeros) > _SHOWN else "")
    return (
        f"{len(zeros)} of {len(tensors)} tensors were 0 on every calibration image ({names}): "
        "their ranges are guesses. [zero-range]",
    )


def drop_above_bound(kept: Kept, bound: float, layers: int, images: int) -> Sentences:
    """No number of layers in FP32 was enough for `--keep-fp32 auto`."""
    if kept.loss <= bound:
        return ()
    return (
        f"With {len(kept.layers)} of {layers} layers in FP32, INT8 still loses {kept.loss:.1%} of "
        f"{images} held-back images, more than {bound:.1%}. [drop-above-bound]",
    )
