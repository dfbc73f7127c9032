import pickle

import pytest
import torch
from forge_kernels import CPU, RIGHT, Relu, relu_kernel, relu_program
from hypothesis import given
from hypothesis import strategies as st

from tensordyno.forge.compile_job import jobs_of, unpacked
from tensordyno.forge.kernels.base import Launch
from tensordyno.forge.storages import Storages, allocated


def launch(**changed):
    facts = {
        "function": relu_kernel,
        "grid": (1,),
        "arguments": {
            "image": allocated(64, "cpu"),
            "scratch": allocated(64, "cpu")[8:],
            "output": allocated(64, "cpu").view(torch.float16),
            "elements": 17,
        },
        "constants": {"ERROR": 0.0, "BLOCK": 16},
    }
    return Launch(**{**facts, **changed})


def packed(**changed):
    (job,) = jobs_of(launch(**changed))
    return job.packed()


def with_argument(name, value):
    return packed(arguments={**launch().arguments, name: value})


def test_a_job_is_small_and_holds_no_tensor():
    weights = torch.zeros(10**6)
    assert len(with_argument("image", weights)) < 2000
    job = unpacked(with_argument("image", weights))
    assert job.name == "relu_kernel"
    assert job.arguments["image"].dtype == torch.float32 and job.arguments["image"].data_ptr() % 16 == 0
    assert job.arguments["scratch"].data_ptr() % 16 == 8


@given(st.integers(2, 2**31 - 1))
def test_numbers_that_compile_alike_are_alike(number):
    like = with_argument("elements", 32 if number % 16 == 0 else 33)
    assert with_argument("elements", number) == like


@pytest.mark.parametrize(
    ("one", "other"), [(1, 17), (16, 17), (17, 2**31), (2**31, 2**31 + 1), (1, True), (None, 17), (1, 1.5)]
)
def test_numbers_that_compile_otherwise_are_told_apart(one, other):
    assert with_argument("elements", one) != with_argument("elements", other)


def test_floats_are_alike():
    assert with_argument("elements", 0.1) == with_argument("elements", float("inf"))


def test_pointers_are_told_apart_by_format_and_alignment():
    memory = allocated(64, "cpu")
    found = {with_argument("image", each) for each in (memory, memory[1:], memory.view(torch.int8))}
    assert len(found) == 3
    assert with_argument("image", memory[16:]) == with_argument("image", memory)


@pytest.mark.parametrize(
    "changed", [{"constants": {"ERROR": 1.0, "BLOCK": 16}}, {"num_warps": 8}, {"num_stages": 5}]
)
def test_constants_are_told_apart(changed):
    assert packed(**changed) != packed()
    assert packed(grid=(100,)) == packed()


def test_functions_among_constants_go_by_name():
    (job,) = jobs_of(launch(constants={"ERROR": relu_kernel, "BLOCK": 16}))
    assert pickle.loads(job.packed()).constants["ERROR"].found() is relu_kernel


def test_launches_before_come_first():
    first, second = launch(num_warps=1), launch(num_warps=2)
    jobs = jobs_of(launch(num_warps=8, before=(first, second)))
    assert [job.options["num_warps"] for job in jobs] == [1, 2, 8]


def test_batch_sizes_share_jobs():
    (operation, _), kernel = relu_program().operations, Relu()
    found = set()
    for size in (3, 5, 64):
        storages = Storages({name: allocated(512 * size, "cpu") for name in ("images", "t0")})
        made = kernel.launch(
            operation, (64, RIGHT), size, storages, {}, CPU.target, allocated(512 * size, "cpu")
        )
        found |= {job.packed() for job in jobs_of(made)}
    assert len(found) == 1
