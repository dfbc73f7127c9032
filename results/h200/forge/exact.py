"""Forge's oracle against ONNX Runtime on the same Q/DQ files, with and without each rounding that they ask for.

PYTHONPATH=src:benchmarks python results/h200/forge/exact.py CIFAR10.npz resnet20_cifar resnet56_cifar resnet110_cifar
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
from forge_cases import Cases, Wishes

from tensordyno.forge.evaluate import evaluate
from tensordyno.forge.onnx_reader import read_graph
from tensordyno.forge.simplify import simplify
from tensordyno.vocabulary import Precision

IMAGES, AT_ONCE = 400, 50

cifar, *networks = sys.argv[1:]
with tempfile.TemporaryDirectory() as folder:
    cases = Cases(Path(folder), Wishes(small=IMAGES, large=4, cifar=cifar), 1)
    for network in networks:
        for case in cases.of(network, (Precision.INT8,)):
            with np.load(case.file) as stored:
                images, expected = stored["images"], stored["logits"]
            for exact in (False, True):
                graph = simplify(read_graph(case.onnx), exact=exact)
                parts = (images[i : i + AT_ONCE] for i in range(0, len(images), AT_ONCE))
                found = np.concatenate([evaluate(graph, part, Precision.FP16) for part in parts])
                same = (found.argmax(1) == expected.argmax(1)).mean()
                largest = np.abs(found - expected).max()
                print(
                    f"{network} exact={exact}: {len(found)} images, top-1 {same:.2%}, largest {largest:.3f}"
                )
