"""Batch sizes written as text: '8', '1,8,32', '1:9:2' (steps), '1:32:x2' (factors)."""

import re

_MOST_VALUES = 1000
_ITEM = re.compile(r"(\d+)(?::(\d+)(?::(x?)(\d+))?)?")

ALLOWED = "a whole number above 0, a list '1,8,32', or a range '1:9:2' (step 2) or '1:32:x2' (doubling)"


def parse_batches(text: str) -> tuple[int, ...]:
    """The batch sizes a text means, in its order, each once; both ends of a range are included.

    Raises ValueError, saying what is wrong, for text that is no range, runs backwards, never ends or
    holds a batch of 0.

    >>> parse_batches("1:32:x2"), parse_batches("1:9:2"), parse_batches("1,8,32")
    ((1, 2, 4, 8, 16, 32), (1, 3, 5, 7, 9), (1, 8, 32))
    """
    sizes = [size for item in text.split(",") for size in _item(item.strip())]
    return tuple(dict.fromkeys(sizes))


def _item(text: str) -> list[int]:
    found = _ITEM.fullmatch(text)
    if found is None:
        raise ValueError(f"'{text}' is no batch size and no range")
    first, last = int(found[1]), int(found[2] or found[1])
    step = int(found[4] or 1)
    if first < 1:
        raise ValueError(f"'{text}' holds a batch of 0")
    if last < first:
        raise ValueError(f"'{text}' runs backwards")
    if step < (2 if found[3] else 1):
        raise ValueError(f"'{text}' never ends")
    return _walk(first, last, step, multiply=bool(found[3]), text=text)


def _walk(first: int, last: int, step: int, *, multiply: bool, text: str) -> list[int]:
    sizes: list[int] = []
    size = first
    while size <= last:
        if len(sizes) == _MOST_VALUES:
            raise ValueError(f"'{text}' makes more than {_MOST_VALUES} batch sizes")
        sizes.append(size)
        size = size * step if multiply else size + step
    return sizes
