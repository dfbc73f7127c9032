"""The threshold that loses the least information in the sense of Kullback and Leibler.

Method of S. Migacz, "8-bit Inference with TensorRT", GTC 2017, session S7310. For each candidate the
histogram P of what is kept, with everything beyond in its last bin, is compared with Q, the same values
in 128 levels, each level spread evenly over those of its bins that hold something.

Four things that the paper leaves open:

- Zeros are left out. Half of what a ReLU gives is 0, which INT8 has exactly; counted, they would smear
  over the first level's other bins in Q and force ranges so small that this level is one bin. NVIDIA's
  calibrators leave out the whole first of 2048 bins; we leave out the first bin of the fine histogram
  (1/16384 of the largest value or less), so that small values keep their say.
- No candidate clips more than one value in ten thousand (zeros not counted). The divergence does not know
  how far a clipped value moves. Grey levels and the background of images are spikes in a histogram, and
  a spike in the last bin of P hides any number of outliers: without this bound the range of a
  Fashion-MNIST image ends at its background, and the networks lose 2 to 24 points of top-1.
- Where the last bin of Q would be empty while outliers lie in that of P, it holds one value; else the
  divergence would be infinite for every range that ends in a gap.
- When a range of 128 bins (1/16 of the largest value) is the best, the bins are too coarse for what is
  inside it: the search is repeated with bins of half the width, down to the finest.
"""

import numpy as np
from numpy.typing import NDArray

from tensordyno.quantize.histogram import Histogram

SUMMARY = "least Kullback-Leibler divergence (Migacz 2017), as TensorRT calibrates"
PARAMETER = None

QUANTA = 128  # of the absolute values in INT8
MOST_BINS = 2048
ONE_IN = 10_000  # values at most are clipped


def threshold(histogram: Histogram, parameter: float | None) -> float:
    """Half a bin beyond the best number of bins kept, at most the largest value."""
    counts = histogram.counts[: histogram.used].copy()
    counts[0] = 0
    together = -(-counts.size // MOST_BINS)
    kept = best_range(_merged(counts, together))
    while kept == QUANTA and together > 1:
        together //= 2
        kept = best_range(_merged(counts, together))
    return min((kept + 0.5) * together * histogram.width, histogram.largest)


def best_range(counts: NDArray[np.int64]) -> int:
    """How many bins to keep, from 128 to 2048: the widest of those with the least divergence.

    The first 2048 bins must hold all but one in ten thousand of the values.
    """
    inside = np.cumsum(counts)
    fewest = int(np.searchsorted(inside, inside[-1] - inside[-1] // ONE_IN)) + 1
    kept = np.arange(max(QUANTA, fewest), min(MOST_BINS, counts.size) + 1)
    return int(kept[::-1][np.argmin(divergences(counts, kept)[::-1])])


def divergences(counts: NDArray[np.int64], kept: NDArray[np.int64]) -> NDArray[np.float64]:
    """KL(P || Q) in nats for each number of bins kept (128 or more); 0 where nothing is counted.

    With n values in a bin and p, q the shares of a bin in P and Q, the sum of p * log(p / q) falls apart
    into running totals: q is the same in all bins of a level that hold something.
    """
    number, filled = _running(counts), _running(counts > 0)
    information = _running(counts * _log(counts))
    inside, last = number[kept], counts[kept - 1]
    outside = number[-1] - inside
    edges = -(np.multiply.outer(-kept, np.arange(QUANTA + 1)) // QUANTA)
    in_level, bins_in_level = np.diff(number[edges]), np.diff(filled[edges])
    mean = in_level / np.maximum(bins_in_level, 1)
    of_p = information[kept] - last * _log(last) + (last + outside) * _log(last + outside)
    last_of_q = np.where(last > 0, mean[:, -1], 1.0)  # log 1 = 0
    of_q = (in_level * _log(mean)).sum(axis=1) + outside * _log(last_of_q)
    weight_of_q = inside + ((last == 0) & (outside > 0))
    total = max(number[-1], 1)
    return np.asarray((of_p - of_q) / total - _log(number[-1]) + _log(weight_of_q))


def _merged(counts: NDArray[np.int64], together: int) -> NDArray[np.int64]:
    padded = np.pad(counts, (0, -counts.size % together))
    return padded.reshape(-1, together).sum(axis=1)


def _running(values: NDArray[np.generic]) -> NDArray[np.float64]:
    return np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])


def _log(numbers: NDArray[np.generic] | float) -> NDArray[np.float64]:
    """The logarithm of counts, with log 0 = 0: a bin with nothing in it adds nothing."""
    return np.asarray(np.log(np.maximum(numbers, 1)))
