from dataclasses import replace

import numpy as np
import torch
from forge_kernels import Relu, relu_program

from tensordyno.forge.weights import Weights


class Counting(Relu):
    def __init__(self, name, array):
        self.name, self.array, self.asked = name, array, 0

    def weights(self, operation):
        self.asked += 1
        return {"w": self.array}


def test_places_each_once():
    first, second = relu_program().operations
    kernel = Counting("k", np.arange(6, dtype=np.int8).reshape(2, 3))
    weights = Weights(torch.device("cpu"))
    placed = weights.of(kernel, first)["w"]
    assert torch.equal(placed, torch.arange(6, dtype=torch.int8).view(2, 3))
    assert weights.of(kernel, first)["w"] is placed and kernel.asked == 1
    weights.of(kernel, second)
    assert kernel.asked == 2 and weights.size_bytes == 12


def test_takes_arrays_that_cannot_be_written_and_transposed_ones():
    array = np.frombuffer(b"\0\1\2\3", np.int8).reshape(2, 2).T
    placed = Weights(torch.device("cpu")).of(Counting("k", array), relu_program().operations[0])["w"]
    assert placed.is_contiguous() and placed.tolist() == [[0, 2], [1, 3]]


def test_an_operation_made_anew_of_the_same_node_is_the_same():
    operation = relu_program().operations[0]
    kernel = Counting("k", np.zeros(3, np.float32))
    weights = Weights(torch.device("cpu"))
    placed = weights.of(kernel, operation)
    assert weights.of(kernel, replace(operation)) is placed and kernel.asked == 1


def test_keeps_only_what_is_used():
    first, second = relu_program().operations
    kernels = Counting("a", np.zeros(3, np.float32)), Counting("b", np.zeros(5, np.float32))
    weights = Weights(torch.device("cpu"))
    for kernel in kernels:
        weights.of(kernel, first)
    weights.of(kernels[0], second)
    weights.keep_only([(kernels[1], first)])
    assert weights.size_bytes == 20
    weights.of(kernels[1], first)
    assert kernels[1].asked == 1
