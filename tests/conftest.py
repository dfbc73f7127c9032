"""What every test shares: one hypothesis profile, and caches away from the user's own."""

import os
import tempfile

import pytest
from hypothesis import settings

# A shared machine stalls for seconds at a time: a deadline would fail tests that are right.
settings.register_profile("tensordyno", deadline=None, max_examples=50)
settings.load_profile("tensordyno")

CACHE = os.path.join(tempfile.gettempdir(), f"tensordyno-tests-{os.getuid()}")
os.environ.setdefault("TENSORDYNO_CACHE", CACHE)


def pytest_collection_modifyitems(items):
    skip = pytest.mark.skip(reason="needs an NVIDIA GPU and PyTorch with CUDA")
    if not os.path.exists("/dev/nvidiactl"):
        for item in items:
            if "gpu" in item.keywords:
                item.add_marker(skip)
