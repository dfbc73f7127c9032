"""ResNet-50's int8 layers with forge's kernels for Hopper: every choice checked, then timed.

PYTHONPATH=src python3 results/h200/forge/bench_kernels.py [batch] [--out kernels.json]
(one H200 and 16 cores: about a minute at a batch of 256, most of it the compiler's)
"""

import argparse
import json
import multiprocessing
import time
from collections import Counter

import numpy as np
import torch
import triton
from torch.nn import functional

from tensordyno.forge.compile_job import jobs_of, unpacked
from tensordyno.forge.graph import Clamp, Convolution, ConvolutionMaxPool, MaxPool, Tensor
from tensordyno.forge.kernels.base import Launch, Target
from tensordyno.forge.kernels.hopper_convolution import HopperConvolution
from tensordyno.forge.kernels.hopper_stem import HopperStem
from tensordyno.forge.kernels.reference_folded import fold
from tensordyno.forge.program import Format, Operation, View
from tensordyno.vocabulary import Precision

COPY = 4.24e12  # bytes/s and operations/s that one H200 was seen to reach (results/h200/scaling)
PRODUCT = 9.0e14
CHECKED = 2  # images
TARGET = Target()
KERNELS = (HopperStem(), HopperConvolution())


def view(storage: str, size: int, channels: int, scale: float) -> View:
    """A square int8 image."""
    return View(
        storage=storage,
        format=Format.INT8,
        height=size,
        width=size,
        channels=channels,
        pitch=channels,
        scale=scale,
    )


def node(
    channels: int, out: int, kernel: int, stride: int, residual: bool, random: np.random.Generator
) -> Convolution:
    """A convolution whose results fill int8."""
    products = channels * kernel * kernel
    return Convolution(
        name="layer",
        inputs=("image", "residual") if residual else ("image",),
        output="output",
        weight=random.integers(-127, 128, (out, channels, kernel, kernel), np.int8),
        weight_scale=random.uniform(0.3, 1, out).astype(np.float32) / np.float32(products**0.5 * 200),
        bias=random.standard_normal(out).astype(np.float32),
        stride=(stride, stride),
        pads=(kernel // 2,) * 4,
        clamp=Clamp(),
    )


def operation(channels: int, out: int, size: int, kernel: int, stride: int, residual: bool) -> Operation:
    """A square convolution over a square image."""
    made = node(channels, out, kernel, stride, residual, np.random.default_rng(1))
    inputs = [view("image", size, channels, 0.05)]
    inputs += [view("residual", size // stride, out, 0.021)] if residual else []
    output = view("output", size // stride, out, 0.04)
    return Operation(node=made, inputs=tuple(inputs), output=output, precision=Precision.INT8)


def stem() -> Operation:
    """The first two layers."""
    convolution = node(3, 64, 7, 2, False, np.random.default_rng(2))
    pool = MaxPool(
        name="pool", inputs=("output",), output="pooled", kernel=(3, 3), stride=(2, 2), pads=(1, 1, 1, 1)
    )
    both = ConvolutionMaxPool(
        name="stem", inputs=("image",), output="pooled", convolution=convolution, pool=pool
    )
    image, output = view("image", 224, 3, 0.05), view("output", 56, 64, 0.04)
    return Operation(node=both, inputs=(image,), output=output, precision=Precision.INT8)


def layers() -> dict[str, tuple[int, Operation]]:
    """By name: how often a layer of that shape occurs in ResNet-50 v1.5, and the operation."""
    counts: Counter[tuple[int, int, int, int, int, bool]] = Counter()
    width, size = 64, 56
    for planes, blocks, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for block in range(blocks):
            step = stride if block == 0 else 1
            counts[width, planes, size, 1, 1, False] += 1
            counts[planes, planes, size, 3, step, False] += 1
            if block == 0:
                counts[width, 4 * planes, size, 1, step, False] += 1
            counts[planes, 4 * planes, size // step, 1, 1, True] += 1
            width, size = 4 * planes, size // step
    found = {"stem": (1, stem())}
    for key, count in counts.items():
        channels, out, side, kernel, stride, residual = key
        name = f"{kernel}x{kernel} {channels:4d} -> {out:4d} @{side}{' /2' if stride == 2 else ''}"
        found[name + (" + residual" if residual else "")] = count, operation(*key)
    return found


class Layer:
    """An operation with random tensors on a device."""

    def __init__(self, made: Operation, batch: int, device: str) -> None:
        self.made, self.batch, self.device = made, batch, device
        self.kernel = next(kernel for kernel in KERNELS if kernel.takes(made, TARGET))
        self.storages = {place.storage: self._random(place) for place in (*made.inputs, made.output)}
        arrays = self.kernel.weights(made).items()
        self.weights = {name: torch.from_numpy(array).to(device) for name, array in arrays}
        self.choices = self.kernel.choices(made, batch, TARGET)
        most = max(self.kernel.scratch_bytes(made, choice, batch) for choice in self.choices)
        self.scratch = torch.empty(most, dtype=torch.uint8, device=device)

    def _random(self, place: View) -> torch.Tensor:
        shape = (self.batch, place.height, place.width, place.pitch)
        if self.device == "meta" or place is self.made.output:
            return torch.empty(shape, dtype=torch.int8, device=self.device)
        return torch.randint(-128, 128, shape, dtype=torch.int8, device=self.device)

    def launch(self, choice: tuple[int, ...]) -> Launch:
        """Ready to run."""
        tensors = lambda place: self.storages[place.storage].flatten()  # noqa: E731
        return self.kernel.launch(self.made, choice, self.batch, tensors, self.weights, TARGET, self.scratch)

    def expected(self) -> torch.Tensor:
        """The first images: exact sums by a float64 convolution, then the folded epilogue."""
        both = isinstance(self.made.node, ConvolutionMaxPool)
        one = self.made.node.convolution if both else self.made.node
        image = self.storages["image"][:CHECKED].permute(0, 3, 1, 2).double()
        weight = torch.from_numpy(one.weight).cuda().double()
        value = functional.conv2d(image, weight, stride=one.stride, padding=one.pads[0])
        if both:
            value = functional.max_pool2d(value, 3, 2, 1)
        tensors = [Tensor("", (), place.scale) for place in (*self.made.inputs, self.made.output)]
        folded = fold(one, tensors[:-1], tensors[-1])
        factor, bias = (torch.from_numpy(each).cuda().double() for each in (folded.factor, folded.bias))
        value = (value.permute(0, 2, 3, 1) * factor + bias).float()
        if one.has_residual:
            value = (
                value + self.storages["residual"][:CHECKED].double() * float(folded.residual_factor)
            ).float()
        return value.clamp(float(folded.low), float(folded.high)).round().clamp(-128, 127).to(torch.int8)

    def floor_us(self) -> float:
        """The longer one of what has to be moved and what has to be computed."""
        made = self.made
        one = getattr(made.node, "convolution", made.node)
        image, *residual = made.inputs
        seen = one.stride[0] ** 2 if one.weight.shape[2:] == (1, 1) else 1
        moved = self.batch * image.pixels * image.channels / seen + one.weight.size
        moved += self.batch * made.output.pixels * made.output.channels * (1 + len(residual))
        pixels = image.pixels // one.stride[0] ** 2
        return 1e6 * max(moved / COPY, 2.0 * self.batch * pixels * one.weight.size / PRODUCT)


def variant(layer: Layer, choice: tuple[int, ...]) -> str:
    """A name for the kind of kernel that a choice stands for."""
    if isinstance(layer.kernel, HopperStem):
        return f"{choice[1]} warps"
    return ("keeps" if choice[5] else "streams") if choice[6] else "tile"


def compile_job(packed: bytes) -> str:
    """Fill Triton's cache in a process of its own; what went wrong, if anything did."""
    try:
        unpacked(packed).compile()
    except Exception as error:
        return repr(error)[:300]
    return ""


def compile_everything(found: dict[str, tuple[int, Operation]], batch: int) -> None:
    """Fill Triton's cache with every choice of every layer, on all cores."""
    began, jobs = time.time(), {}
    for _, made in found.values():
        small = Layer(made, 1, "cuda")
        small.batch = batch
        small.choices = small.kernel.choices(made, batch, TARGET)
        image = made.inputs[0]
        if image.channels == 3:  # packed by a view of its own length
            small.storages["image"] = torch.empty(batch * image.pixels * 3, dtype=torch.int8, device="cuda")
            bytes_ = small.kernel.scratch_bytes(made, small.choices[0], batch)
            small.scratch = torch.empty(bytes_, dtype=torch.uint8, device="cuda")
        for choice in small.choices:
            jobs |= dict.fromkeys(job.packed() for job in jobs_of(small.launch(choice)))
    with multiprocessing.get_context("spawn").Pool(15) as pool:
        failures = [text for text in pool.map(compile_job, jobs, chunksize=2) if text]
    print(
        f"compiled {len(jobs)} in {time.time() - began:.1f} s, {len(failures)} failed",
        failures[:2],
        flush=True,
    )


def timed(layer: Layer) -> list[tuple[float, str, tuple[int, ...]]]:
    """Microseconds of each choice that is right, and its variant."""
    wanted, found = layer.expected(), []
    for choice in layer.choices:
        try:
            layer.storages["output"].fill_(77)
            launch = layer.launch(choice)
            launch.run()
            wrong = (layer.storages["output"][:CHECKED].int() - wanted.int()).abs()
            if wrong.max() > 1 or (wrong > 0).float().mean() > 1e-4:
                print("WRONG", choice, int(wrong.max()), float((wrong > 0).float().mean()), flush=True)
                continue
            ms = triton.testing.do_bench(launch.run, warmup=2, rep=8, return_mode="median")
            found.append((1e3 * ms, variant(layer, choice), choice))
        except Exception as error:
            print("FAILED", choice, repr(error)[:200], flush=True)
    return sorted(found)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser()
    parser.add_argument("batch", type=int, nargs="?", default=256)
    parser.add_argument("--out", default="kernels.json")
    given = parser.parse_args()
    began, rows, total_us, floors_us = time.time(), [], 0.0, 0.0
    found = layers()
    compile_everything(found, given.batch)
    for name, (count, made) in found.items():
        layer = Layer(made, given.batch, "cuda")
        times, floor = timed(layer), layer.floor_us()
        rows += [{"layer": name, "count": count, "us": us, "choice": choice} for us, _, choice in times]
        if not times:
            continue
        best = {}
        for us, kind, choice in times:
            best.setdefault(kind, f"{kind} {us:.1f} {list(choice)}")
        total_us, floors_us = total_us + count * times[0][0], floors_us + count * floor
        print(
            f"{count} x {name:34s} {times[0][0]:7.1f} us, floor {floor:6.1f}:",
            *best.values(),
            sep="  ",
            flush=True,
        )
    rate = given.batch / total_us * 1e6
    print(f"sum {total_us:.0f} us of floor {floors_us:.0f}: {rate:.0f} images/s, {time.time() - began:.0f} s")
    with open(given.out, "w") as file:
        json.dump({"batch": given.batch, "rows": rows}, file)


if __name__ == "__main__":
    main()
