"""Trains the networks of `tensordyno.models.cifar` on one GPU, for a given number of seconds.

    python benchmarks/cifar10/train.py cifar10_train.npz resnet20_cifar --seconds 480 --out weights

SGD with Nesterov momentum in bfloat16 autocast; random crops and flips; the learning rate rises and
then falls along a cosine of the time spent, so that a run ends with its schedule whatever the GPU.
Weights are saved with matrices in float16 and vectors in float32: the network that is evaluated is
the one in the file.
"""

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from tensordyno.models.cifar import NETWORKS, build

BATCH = 256
PEAK_RATE = {"alexnet_cifar": 0.02}  # without batch norm; the others take the usual rate
USUAL_PEAK = 0.15
WARM_UP = 0.15  # of the time
DECAY = 5e-4
PAD = 4


class Autocast(nn.Module):
    """The network in bfloat16, float32 where PyTorch's rules want it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Images (n, 3, 32, 32) to logits (n, 10)."""
        with torch.autocast("cuda", torch.bfloat16, cache_enabled=False):
            return self.network(images)


class Images:
    """All training images on the GPU; batches are cropped and flipped there."""

    def __init__(self, path: Path, network: str) -> None:
        with np.load(path) as stored:
            pixels, labels = stored["x_train"], stored["y_train"]
        look = NETWORKS[network]["preprocessing"]
        mean, std = (torch.tensor(look[key], device="cuda").view(1, 3, 1, 1) for key in ("mean", "std"))
        planes = torch.from_numpy(pixels).cuda().permute(0, 3, 1, 2).float() / 255
        self._padded = F.pad((planes - mean) / std, (PAD,) * 4, mode="reflect").half()
        self._labels = torch.from_numpy(labels).cuda()

    def epoch(self):
        """Batches of (images, labels) in a new order."""
        order = torch.randperm(len(self._labels), device="cuda")
        for start in range(0, len(order) - BATCH + 1, BATCH):
            chosen = order[start : start + BATCH]
            yield self._augmented(chosen), self._labels[chosen]

    def _augmented(self, chosen: Tensor) -> Tensor:
        n, side = len(chosen), torch.arange(32, device="cuda")
        top, left = (torch.randint(0, 2 * PAD + 1, (n, 1), device="cuda") + side for _ in range(2))
        left = torch.where(torch.rand((n, 1), device="cuda") < 0.5, left, left.flip(1))
        channels = torch.arange(3, device="cuda").view(1, 3, 1, 1)
        here = self._padded[chosen.view(-1, 1, 1, 1), channels, top.view(n, 1, 32, 1), left.view(n, 1, 1, 32)]
        return here.float().contiguous(memory_format=torch.channels_last)


def rate_at(fraction: float, peak: float) -> float:
    """Learning rate after this fraction of the time."""
    if fraction < WARM_UP:
        return peak * (0.05 + 0.95 * fraction / WARM_UP)
    return peak * max(0.0005, 0.5 * (1 + math.cos(math.pi * (fraction - WARM_UP) / (1 - WARM_UP))))


def train(name: str, data: Path, seconds: float) -> tuple[nn.Module, dict[str, float]]:
    """The trained network and what it took."""
    images = Images(data, name)
    network = build(name).cuda().to(memory_format=torch.channels_last).train()
    decayed = [p for p in network.parameters() if p.dim() > 1]
    others = [p for p in network.parameters() if p.dim() <= 1]
    groups = [{"params": decayed, "weight_decay": DECAY}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.SGD(groups, lr=0.1, momentum=0.9, nesterov=True)
    example = torch.randn((BATCH, 3, 32, 32), device="cuda").to(memory_format=torch.channels_last)
    step = torch.cuda.make_graphed_callables(Autocast(network), (example,))  # small kernels: launches cost
    peak = PEAK_RATE.get(name, USUAL_PEAK)
    start, epochs, steps, loss = time.monotonic(), 0, 0, torch.zeros(())
    while (spent := time.monotonic() - start) < seconds:
        right = torch.zeros((), device="cuda")
        for batch, labels in images.epoch():
            fraction = min(1.0, (time.monotonic() - start) / seconds)
            for group in optimizer.param_groups:
                group["lr"] = rate_at(fraction, peak)
            optimizer.zero_grad(set_to_none=False)
            logits = step(batch)
            loss = F.cross_entropy(logits.float(), labels)
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimizer.step()
            right += (logits.argmax(1) == labels).sum()
            steps += 1
            if steps % 50 == 0:
                torch.cuda.synchronize()
            if fraction >= 1.0:
                break
        epochs += 1
        print(
            f"{name} epoch {epochs} {spent:.0f} s loss {loss.item():.3f} seen {right.item():.0f}", flush=True
        )
    return network.eval(), {"epochs": epochs, "steps": steps, "seconds": time.monotonic() - start}


def main() -> None:
    """Train one network and save it."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("data", type=Path)
    arguments.add_argument("network", choices=sorted(NETWORKS))
    arguments.add_argument("--seconds", type=float, default=480)
    arguments.add_argument("--out", type=Path, default=Path())
    given = arguments.parse_args()
    torch.manual_seed(0)
    network, took = train(given.network, given.data, given.seconds)
    state = {k: v.half() if v.dim() > 1 else v for k, v in network.state_dict().items()}
    given.out.mkdir(parents=True, exist_ok=True)
    weights = {k: v.contiguous().cpu() for k, v in state.items()}
    save_file(weights, given.out / f"{given.network}.safetensors")
    print(json.dumps({"network": given.network, "gpu": torch.cuda.get_device_name(), **took}), flush=True)


if __name__ == "__main__":
    main()
