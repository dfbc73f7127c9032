"""Compares a build's outputs with the strict FP32 reference: is the answer right, and the label true?

What a number format must show follows from its rounding. A format of p significant bits rounds with a
relative error of root mean square 0.42 * 2^-p (uniform within an interval of 2^-p, averaged over
mantissas), 6.02 p + 7.4 dB below the signal: 55.6 dB for bf16 (p = 8), 73.7 dB for fp16 and tf32
(p = 11), 151.9 dB for fp32 (p = 24); see Higham, Accuracy and Stability of Numerical Algorithms, 2nd
edition, sections 2.1 and 2.8. Two operands are rounded in each of L layers and the errors add as a
random walk, which costs 10 log10(2 L) dB: 20 dB at 50 layers. Long sums with a common sign average
some of it away again. Hence for each precision

  least dB: depth, ill-conditioned networks and library algorithms (Winograd) may not cost more;
  most dB:  one rounding plus 10 dB of averaging. Better than that was computed in a finer format.

Measured with AlexNet, VGG-16, GoogLeNet and three small trained networks: fp32 against float64 or
another engine 114-137 dB, tf32 60-71 dB, fp16 49-69 dB, bf16 39-50 dB, int8 35-40 dB. The bands of fp32
and of the others do not meet. Those of fp16 and bf16 must overlap: a shallow network in bf16 shows what
a deep one shows in fp16, so that only the engine's own account tells these two apart. INT8 needs that
account too (`wrong_arithmetic`): a Q/DQ network shows its rounding in whatever format it is computed.
For one that came as a file its own answers are the reference, and the label rests on the account alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tensordyno.records.build import Verification
from tensordyno.vocabulary import Precision

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Band:
    """What a precision must show against strict FP32: SQNR in dB, top-1 agreement as a fraction."""

    least_db: float
    most_db: float | None  # None: may be bit-identical
    least_agreement: float  # of trained networks


BANDS: dict[Precision, Band] = {
    Precision.FP32: Band(85, None, 0.99),
    Precision.TF32: Band(40, 84, 0.95),
    Precision.FP16: Band(40, 84, 0.95),
    Precision.BF16: Band(20, 65, 0.90),
    # 8 uniform bits: 6.02 * 8 + 4.8 = 53 dB when all values are as large as the largest, 41 dB at 4 sigma
    Precision.INT8: Band(10, 55, 0.80),
    Precision.FP8: Band(8, 42, 0.70),  # e4m3, p = 4: 31.5 dB, plus 10
}
_LEAST_INT8 = 0.8  # of the layers that the Q/DQ file has in INT8
_NO_VARIATION = 0.01  # of the reference's variation between images: the input does not matter
_SHUFFLED_DB = 10.0  # better fit to other images' answers than to its own


def verify(
    outputs: NDArray[np.floating],
    reference: NDArray[np.floating],
    precision: Precision,
    trained: bool,
    *,
    same_rounding: bool = False,
) -> Verification:
    """Judge logits, shape (images, classes), against the strict FP32 reference of the same images.

    Fails for a wrong shape, for NaN or infinity, when the outputs do not depend on the input or belong
    to other images, and when the SQNR lies outside the precision's band. Top-1 agreement counts only
    for `trained` weights: with random ones the classes are nearly tied. `same_rounding` says that the
    reference was rounded like the outputs (a file that holds Q/DQ nodes): they cannot be too good then.
    Raises ValueError when the reference itself is empty, not finite or all zero.
    """
    expected = np.asarray(reference, dtype=float)
    if expected.ndim != 2 or not expected.size or not np.isfinite(expected).all() or not expected.any():
        raise ValueError("the reference is not a table of finite logits")
    found = np.asarray(outputs, dtype=float)
    if found.shape != expected.shape:
        return _unusable(found, expected, f"The outputs have shape {found.shape}, not {expected.shape}.")
    if not np.isfinite(found).all():
        bad = int((~np.isfinite(found)).sum())
        return _unusable(found, expected, f"{bad} of {found.size} outputs are NaN or infinite.")
    level_db = sqnr_db(found, expected)
    agreement = float((found.argmax(axis=1) == expected.argmax(axis=1)).mean())
    reason = (
        _wrong_answers(found, expected)
        or _wrong_precision(level_db, precision, same_rounding)
        or _wrong_classes(agreement, precision, trained)
    )
    return Verification(
        images=len(expected),
        sqnr_db=level_db,
        cosine=float(_cosines(found, expected).mean()),
        top1_agreement=agreement,
        max_abs_error=float(np.abs(found - expected).max()),
        passed=not reason,
        reason=reason,
    )


def worst_repeats(outputs: NDArray[np.floating], reference: NDArray[np.floating]) -> NDArray[np.floating]:
    """Of outputs (batch, classes) whose images repeat those of `reference` (images, classes), the worst each.

    Row i of the result is the answer to image i that lies farthest from its reference; one that is not finite
    lies farthest of all. The batch holds at least as many rows as the reference.
    """
    images, rows = len(reference), np.arange(len(outputs))
    error = np.abs(outputs - reference[rows % images]).max(axis=1)
    error = np.where(np.isfinite(error), error, np.inf)
    whole = -(-len(outputs) // images)  # the last repetition may be cut short
    padded = np.full(whole * images, -1.0)
    padded[: len(outputs)] = error
    worst = padded.reshape(whole, images).argmax(axis=0) * images + np.arange(images)
    found: NDArray[np.floating] = outputs[worst]
    return found


def sqnr_db(outputs: FloatArray, reference: FloatArray) -> float | None:
    """Signal to quantisation noise in dB: 10 log10(sum reference^2 / sum (outputs - reference)^2).

    None when they are bit-identical.
    """
    noise = float(np.square(outputs - reference).sum())
    return float(10 * np.log10(np.square(reference).sum() / noise)) if noise else None


def answers_of(logits: NDArray[np.floating], labels: NDArray[np.integer]) -> NDArray[np.int32]:
    """A row an image: its label, the first class, and the rank of the label from 0; int32 (images, 3).

    Shapes (images, classes) and (images,). Ties go to the lower class index, as in a stable sort, so that
    constant logits are right only for the first class. A NaN ranks above every number and is never right:
    its rank is the number of classes. Raises ValueError for shapes that do not fit and labels outside
    the classes.
    """
    if logits.ndim != 2 or labels.shape != logits.shape[:1]:
        raise ValueError(f"cannot rank logits {logits.shape} with labels {labels.shape}")
    classes = logits.shape[1]
    if len(labels) and not (labels.min() >= 0 and labels.max() < classes):
        raise ValueError(f"a label lies outside the {classes} classes")
    own = np.take_along_axis(logits, labels[:, None].astype(np.intp), axis=1)
    above = ~(logits <= own)
    tied_before = (logits == own) & (np.arange(classes) < labels[:, None])
    rank = np.where(np.isnan(own[:, 0]), classes, (above | tied_before).sum(axis=1))
    return np.stack([labels, logits.argmax(axis=1), rank], axis=1).astype(np.int32)


def count_correct(answers: NDArray[np.integer], k: int) -> int:
    """Images whose label is among the `k` first classes, from rows of `answers_of`.

    Raises ValueError for k < 1.
    """
    if k < 1:
        raise ValueError(f"cannot count top-{k}")
    return int((answers[:, 2] < k).sum())


def wrong_arithmetic(layers: Mapping[str, int], planned: int) -> str:
    """Why a network of `planned` INT8 layers does not deserve that label; "" when it does.

    `layers` is the engine's own count by number format (Engine.arithmetic). An engine that cannot count
    ({}) is believed: then only the numbers speak, and those of a Q/DQ network are the same in any format.
    A few layers may run in another format, first and last ones for instance: four in five must be INT8.
    """
    ran, needed = layers.get("int8", 0), max(1.0, _LEAST_INT8 * planned)
    if not layers or ran >= needed:
        return ""
    others = ", ".join(f"{count} in {kind}" for kind, count in layers.items() if kind != "int8" and count)
    share = f"{ran} of {planned} INT8 layers run in INT8" if planned else "no layer runs in INT8"
    return share + (f" ({others})." if others else ".")


def _unusable(found: FloatArray, expected: FloatArray, reason: str) -> Verification:
    """Outputs that cannot be compared; the error is that of the finite ones."""
    error = np.abs(found - expected) if found.shape == expected.shape else np.empty(0)
    finite = error[np.isfinite(error)]
    return Verification(
        images=len(expected),
        sqnr_db=None,
        cosine=0.0,
        top1_agreement=0.0,
        max_abs_error=float(finite.max()) if finite.size else 0.0,
        passed=False,
        reason=reason,
    )


def _wrong_answers(found: FloatArray, expected: FloatArray) -> str:
    """Mistakes that a signal-to-noise ratio alone can miss when all images have similar logits."""
    varies = float(np.square(expected - expected.mean(axis=0)).sum())
    if varies and np.square(found - found.mean(axis=0)).sum() < _NO_VARIATION * varies:
        return "The outputs hardly depend on the input."
    own = float(np.square(found - expected).sum())
    best = sum(float(np.square(expected - row).sum(axis=1).min()) for row in found)
    if own > best * 10 ** (_SHUFFLED_DB / 10):
        return "The outputs belong to other images of the batch."
    return ""


def _wrong_precision(level_db: float | None, precision: Precision, same_rounding: bool) -> str:
    band = BANDS[precision]
    most_db = None if same_rounding else band.most_db
    if level_db is not None and level_db < band.least_db:
        hint = " Computed in a coarser format?" if precision in (Precision.FP32, Precision.TF32) else ""
        return f"SQNR {level_db:.1f} dB, {precision} must reach {band.least_db:.0f} dB.{hint}"
    if most_db is not None and (level_db is None or level_db > most_db):
        shown = "Bit-identical to FP32" if level_db is None else f"SQNR {level_db:.1f} dB"
        return f"{shown}, {precision} cannot exceed {most_db:.0f} dB: computed in a finer format."
    return ""


def _wrong_classes(agreement: float, precision: Precision, trained: bool) -> str:
    least = BANDS[precision].least_agreement
    if trained and agreement < least:
        return f"Top-1 agrees with FP32 on {agreement:.1%} of the images, {least:.0%} needed."
    return ""


def _cosines(found: FloatArray, expected: FloatArray) -> FloatArray:
    lengths = np.linalg.norm(found, axis=1) * np.linalg.norm(expected, axis=1)
    dots = (found * expected).sum(axis=1)
    cosines: FloatArray = np.divide(dots, lengths, out=np.zeros_like(dots), where=lengths > 0)
    return cosines
