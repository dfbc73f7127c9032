import sys
from dataclasses import replace

import pytest
from forge_kernels import Relu, relu_kernels, relu_program

from tensordyno.errors import MissingPackage, Unsupported
from tensordyno.forge.graph import LocalResponseNorm
from tensordyno.forge.kernels import catalogue
from tensordyno.forge.kernels.base import Kernel, Target

TARGETS = [Target(), Target(capability=(8, 0)), Target(interpreted=True)]


def test_kernels_have_names_of_their_own():
    kernels = catalogue.all_kernels()
    assert all(isinstance(kernel, Kernel) for kernel in kernels)
    names = [kernel.name for kernel in kernels]
    assert len(set(names)) == len(names) >= 5
    assert all(catalogue.kernel_named(name) is kernel for name, kernel in zip(names, kernels, strict=True))


@pytest.mark.parametrize("target", TARGETS)
def test_gives_those_that_take_it_in_their_order(target):
    operation = relu_program().operations[0]
    found = catalogue.kernels_for(operation, target)
    assert found == tuple(each for each in catalogue.all_kernels() if each.takes(operation, target))
    assert found


def test_names_what_it_has_no_kernel_for(monkeypatch):
    monkeypatch.setattr(catalogue, "all_kernels", relu_kernels())
    operation = relu_program().operations[0]
    assert isinstance(catalogue.kernels_for(operation, Target())[0], Relu)
    node = LocalResponseNorm(
        name="norm1", inputs=("images",), output="t0", size=5, alpha=1.0, beta=1.0, bias=1.0
    )
    with pytest.raises(Unsupported, match=r"norm1 \(LocalResponseNorm of fp32 to fp32, fp32 arithmetic\)"):
        catalogue.kernels_for(replace(operation, node=node), Target())


def test_no_kernel_of_that_name():
    with pytest.raises(KeyError):
        catalogue.kernel_named("none")


def test_says_that_triton_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "triton", None)
    with pytest.raises(MissingPackage) as caught:
        catalogue.all_kernels.__wrapped__()
    assert "tensordyno[forge]" in caught.value.remedy
