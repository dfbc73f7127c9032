"""Which layer suffers most from INT8: each one alone in INT8, judged by the noise in the logits."""

from collections.abc import Callable

from tensordyno.quantize.base import Placement
from tensordyno.quantize.held_back import HeldBack
from tensordyno.quantize.ranges import Threshold

MOST_IMAGES = 64
_IDENTICAL_DB = 150.0  # what float32 itself reaches (6.02 * 24 + 7.4): no layer is credited with more


def rank(
    court: HeldBack,
    layers: tuple[str, ...],
    placed_alone: Callable[[str], Placement],
    threshold: Threshold,
    progress: Callable[[int, int], None],
) -> dict[str, float]:
    """SQNR of the logits in dB when only that layer is in INT8, most sensitive layer first.

    `placed_alone` gives the placement of a single layer. One session of ONNX Runtime a layer, on at most
    64 of the held-back images; `progress` hears (layers judged, layers).
    """
    found = {}
    for position, layer in enumerate(layers):
        progress(position, len(layers))
        level_db = court.judge(placed_alone(layer), threshold, MOST_IMAGES).sqnr_db
        found[layer] = min(_IDENTICAL_DB, _IDENTICAL_DB if level_db is None else level_db)
    progress(len(layers), len(layers))
    return dict(sorted(found.items(), key=lambda item: item[1]))
