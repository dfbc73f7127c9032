"""What every test shares: a hypothesis profile, caches away from the user's own, a terminal's signals."""

import os
import signal
import tempfile

import pytest
from hypothesis import settings

# A shared machine stalls for seconds at a time: a deadline would fail tests that are right.
settings.register_profile("tensordyno", deadline=None, max_examples=50)
settings.load_profile("tensordyno")

CACHE = os.path.join(tempfile.gettempdir(), f"tensordyno-tests-{os.getuid()}")
os.environ.setdefault("TENSORDYNO_CACHE", CACHE)

# Without a GPU forge's kernels run in Triton's interpreter, which is chosen before anybody imports Triton.
if not os.path.exists("/dev/nvidiactl"):
    os.environ.setdefault("TRITON_INTERPRET", "1")

# Started in the background (nohup, &) tests inherit that these are ignored, and so, rightly, would dyno.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_collection_modifyitems(items):
    skip = pytest.mark.skip(reason="needs an NVIDIA GPU and PyTorch with CUDA")
    if not os.path.exists("/dev/nvidiactl"):
        for item in items:
            if "gpu" in item.keywords:
                item.add_marker(skip)
