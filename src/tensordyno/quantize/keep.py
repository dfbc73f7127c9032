"""`--keep-fp32 auto`: how many of the most sensitive layers must stay in FP32."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from tensordyno.quantize.score import Judgement


class Kept(NamedTuple):
    """Layers to keep in FP32, and the loss that remains on the held-back images (a fraction)."""

    layers: tuple[str, ...]
    loss: float


def keep_until(
    ranking: Sequence[str],
    bound: float,
    judge: Callable[[tuple[str, ...]], Judgement],
    progress: Callable[[int, int], None],
) -> Kept:
    """The fewest of the most sensitive layers, in steps, with which the loss is at most `bound`.

    `ranking` has the most sensitive layer first, `judge` tells how the network does with some layers in
    FP32. When no step is enough: the step with the least loss, the fewest layers among equals. At least
    one layer stays in INT8. `progress` hears (steps judged, steps there may be).
    """
    steps = steps_up_to(len(ranking) - 1)
    tried = []
    for position, count in enumerate(steps):
        progress(position, len(steps))
        kept = Kept(tuple(ranking[:count]), judge(tuple(ranking[:count])).loss)
        if kept.loss <= bound:
            return kept
        tried.append(kept)
    return min(tried, key=lambda kept: kept.loss)


def steps_up_to(most: int) -> tuple[int, ...]:
    """Numbers of layers to try: 0, 1, 2, 3, 4, then each half as much again, up to `most`."""
    steps = [0]
    while steps[-1] < most:
        steps.append(min(most, max(steps[-1] + 1, steps[-1] * 3 // 2)))
    return tuple(steps)
