"""Which forge this is: what one version times and stores, another must not trust."""

import hashlib
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tensordyno import __version__

_HERE = Path(__file__).parent
_READING = ("onnx_*.py", "evaluate.py", "layers.py")  # what decides nothing once there is a graph


@cache
def forge_version() -> str:
    """Our version, and eight digits of a hash of all files that decide what an engine computes and how."""
    reading = {path for pattern in _READING for path in _HERE.glob(pattern)}
    digest = hashlib.sha256()
    for path in sorted(set(_HERE.rglob("*.py")) - reading):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(_HERE)} {len(content)}\n".encode() + content)
    return f"{__version__}-{digest.hexdigest()[:8]}"


@cache
def triton_version() -> str:
    """Of the compiler of kernels; empty where there is none."""
    try:
        return version("triton")
    except PackageNotFoundError:
        return ""
