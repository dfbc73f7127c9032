import subprocess
import sys

import pytest

from tensordyno import forge

_CHECK = """
import sys
from tensordyno import forge
heavy = {"torch", "triton", "numpy", "onnx"} & set(sys.modules)
assert not heavy, heavy
forge.build, forge.load, forge.Engine, forge.build
assert callable(forge.build) and callable(forge.load) and isinstance(forge.Engine, type)
"""


def test_importing_it_costs_nothing_and_its_functions_are_there():
    subprocess.run([sys.executable, "-c", _CHECK], check=True)


def test_has_nothing_else():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = forge.nothing
    assert forge.__all__ == sorted(forge.__all__)
