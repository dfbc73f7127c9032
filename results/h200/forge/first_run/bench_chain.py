"""ResNet-50 in int8 end to end with the Gluon kernels and random weights: images/s and watts by CUDA graph.

python3 bench_chain.py [batch ...]     (reads the best candidates that bench_layers.py left in layers.json)
"""

import json
import sys
import time

import pynvml
import torch
from bench_layers import constants, layers
from gluon_convolution import conv
from gluon_stem import stem

Config = tuple[int, int, int, int, int]


def best_configs() -> dict[tuple, Config]:
    """The fastest candidate of each layer."""
    found: dict[tuple, tuple[float, Config]] = {}
    for row in json.load(open("layers.json")):
        key = tuple(row[name] for name in ("C", "K", "H", "R", "stride", "residual"))
        found[key] = min(found.get(key, (1e9, ())), (row["us"], tuple(row["config"])))
    return {key: config for key, (_, config) in found.items()}


class Layer:
    """Weights of one convolution and how it is launched."""

    def __init__(self, key: tuple, config: Config) -> None:
        names = ("C", "K", "H", "R", "stride", "residual")
        self.shape = dict(zip(names, key, strict=True))
        c, k, _, r, *_ = key
        self.config = config
        self.weight = torch.randint(-127, 128, (k, r, r, c), dtype=torch.int8, device="cuda")
        self.scale = torch.full((k,), 30 / (73 * 30 * (c * r * r) ** 0.5), device="cuda")
        self.bias = torch.randn(k, device="cuda") * 5
        self.arguments = constants(self.shape, config)

    def __call__(
        self, image: torch.Tensor, output: torch.Tensor, residual: torch.Tensor | None = None
    ) -> torch.Tensor:
        batch, out = image.shape[0], self.shape["H"] // self.shape["stride"]
        made = output[: batch * out * out * self.shape["K"]].view(batch, out, out, self.shape["K"])
        other = made if residual is None else residual
        m, n, *_ = self.config
        pixels = batch * out * out
        grid = (-(-pixels // m) * (self.shape["K"] // n),)
        conv[grid](image, self.weight, self.scale, self.bias, other, made, pixels, 0.5, **self.arguments)
        return made


def network(batch: int) -> tuple:
    """What runs one batch, and its input."""
    configs = best_configs()
    made = lambda *key: Layer(key, configs[key])  # noqa: E731
    size = batch * 56 * 56 * 256
    first, second, narrow, middle, side = (
        torch.empty(size, dtype=torch.int8, device="cuda") for _ in range(5)
    )
    image = torch.randint(-128, 128, (batch, 112, 112, 16), dtype=torch.int8, device="cuda")
    kernel = torch.randint(-127, 128, (64, 4, 4, 16), dtype=torch.int8, device="cuda")
    scale, bias = torch.full((64,), 3e-4, device="cuda"), torch.randn(64, device="cuda")
    blocks, width, height = [], 64, 56
    for planes, count, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for block in range(count):
            step = stride if block == 0 else 1
            after = height // step
            reduce_ = made(width, planes, height, 1, 1, False)
            spatial = made(planes, planes, height, 3, step, False)
            beside = made(width, 4 * planes, height, 1, step, False) if block == 0 else None
            expand = made(planes, 4 * planes, after, 1, 1, True)
            blocks.append((reduce_, spatial, beside, expand))
            width, height = 4 * planes, after
    classes = torch.randn(2048, 1000, dtype=torch.half, device="cuda")

    def run() -> torch.Tensor:
        pooled = second[: batch * 56 * 56 * 64].view(batch, 56, 56, 64)
        stem[(batch * 7,)](
            image, kernel, scale, bias, pooled, HEIGHT=112, WIDTH=112, BAND=8, NW=4, num_warps=4
        )
        x, spare = pooled, first
        for reduce_, spatial, beside, expand in blocks:
            residual = x if beside is None else beside(x, side)
            x = expand(spatial(reduce_(x, narrow), middle), spare, residual)
            spare = second if spare is first else first
        return x.view(batch, 49, 2048).half().mean(1) @ classes

    return run, image


def main() -> None:
    pynvml.nvmlInit()
    gpu = pynvml.nvmlDeviceGetHandleByIndex(0)
    print(sum(layer["count"] for layer in layers()), "convolutions behind the stem")
    for batch in [int(text) for text in sys.argv[1:]] or [256]:
        run, _ = network(batch)
        run()
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            run()
        for _ in range(5):
            graph.replay()
        torch.cuda.synchronize()
        before, began, count = pynvml.nvmlDeviceGetTotalEnergyConsumption(gpu), time.time(), 0
        while time.time() - began < 2.5:
            for _ in range(20):
                graph.replay()
            torch.cuda.synchronize()
            count += 20
        passed = time.time() - began
        joules = (pynvml.nvmlDeviceGetTotalEnergyConsumption(gpu) - before) / 1e3
        print(
            f"batch {batch}: {batch * count / passed:.0f} images/s, {1e3 * passed / count:.3f} ms, {joules / passed:.0f} W, "
            f"{batch * count / joules:.1f} images/s/W",
            flush=True,
        )
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
            run()
            torch.cuda.synchronize()
        kernels = [(e.name, e.device_time) for e in profile.events() if e.device_time]
        print(
            "   ",
            [f"{us:.0f}" for _, us in kernels],
            f"sum {sum(us for _, us in kernels):.0f} us",
            flush=True,
        )


if __name__ == "__main__":
    main()
