"""Reads how much memory was asked for, was free and was there from what frameworks print when it ran out."""

import re

from tensordyno.records.memory import Shortage

_UNITS = {"": 1, "b": 1, "byte": 1, "bytes": 1}
_UNITS |= {f"{prefix}ib": 2 ** (10 * i) for i, prefix in enumerate("kmgtpe", start=1)}
_SIZE = r"([0-9]{1,18}(?:\.[0-9]{1,9})?) ?([kmgtpe]ib|bytes?|b)?\b"
_PATTERNS = {
    "asked_bytes": (
        rf"tried to allocate {_SIZE}",  # PyTorch, CPU and CUDA
        rf"requested bytes of {_SIZE}",  # ONNX Runtime
        rf"buffer of size {_SIZE}",
        rf"requested size was {_SIZE}",  # TensorRT
        rf"amount of gpu memory \({_SIZE}",
        rf"(?:unable|failed) to allocate {_SIZE}",  # NumPy, OpenVINO
    ),
    "free_bytes": (rf"of which {_SIZE} is free", rf"{_SIZE} free;", rf"available memory of {_SIZE}"),
    "total_bytes": (rf"total capacity of {_SIZE}", rf"{_SIZE} total capacity"),
}


def shortage_in(text: str) -> Shortage | None:
    """The figures of a message in bytes, as exact as it gives them; None when it gives none."""
    found = {field: _first(patterns, text.lower()) for field, patterns in _PATTERNS.items()}
    return None if all(size is None for size in found.values()) else Shortage(**found)


def _first(patterns: tuple[str, ...], text: str) -> int | None:
    for pattern in patterns:
        if match := re.search(pattern, text):
            return round(float(match[1]) * _UNITS[match[2] or ""])
    return None
