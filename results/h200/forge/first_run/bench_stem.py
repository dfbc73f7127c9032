"""The stem kernel: right against integer arithmetic, then timed. python3 bench_stem.py [batch]"""

import sys

import torch
import triton
from gluon_stem import stem


def blocks(image: torch.Tensor) -> torch.Tensor:
    """(batch, 224, 224, 3) int8 as (batch, 112, 112, 16): channel = (row in block * 2 + column in block) * 3 + colour."""
    n, h, w, _ = image.shape
    packed = image.view(n, h // 2, 2, w // 2, 2, 3).permute(0, 1, 3, 2, 4, 5).reshape(n, h // 2, w // 2, 12)
    return torch.nn.functional.pad(packed, (0, 4)).contiguous()


def taps(weight: torch.Tensor) -> torch.Tensor:
    """(64, 3, 7, 7) as (64, 4, 4, 16): the kernel grows to 8 x 8 by a row and a column of zeros in front."""
    grown = torch.nn.functional.pad(weight, (1, 0, 1, 0))  # (64, 3, 8, 8)
    split = grown.view(64, 3, 4, 2, 4, 2).permute(0, 2, 4, 3, 5, 1).reshape(64, 4, 4, 12)
    return torch.nn.functional.pad(split, (0, 4)).contiguous()


def main() -> None:
    batch = int(sys.argv[1]) if len(sys.argv) > 1 else 256
    image = torch.randint(-128, 128, (batch, 224, 224, 3), dtype=torch.int8, device="cuda")
    weight = torch.randint(-127, 128, (64, 3, 7, 7), dtype=torch.int8, device="cuda")
    scale, bias = torch.rand(64, device="cuda") * 1e-3, torch.randn(64, device="cuda") * 5
    packed, kernel = blocks(image), taps(weight)
    total = torch.nn.functional.conv2d(
        image[:2].permute(0, 3, 1, 2).double(), weight.double(), stride=2, padding=3
    )
    value = (total.float() * scale[:, None, None] + bias[:, None, None]).clamp(min=0).round().clamp(max=127)
    wanted = torch.nn.functional.max_pool2d(value, 3, 2, 1).permute(0, 2, 3, 1).to(torch.int8)
    for band in (4, 7, 8, 14, 28, 56):
        output = torch.full((batch, 56, 56, 64), 77, dtype=torch.int8, device="cuda")
        run = lambda: stem[(batch * (56 // band),)](  # noqa: E731
            packed, kernel, scale, bias, output, HEIGHT=112, WIDTH=112, BAND=band, NW=4, num_warps=4
        )
        run()
        wrong = (output[:2].int() - wanted.int()).abs()
        us = 1e3 * triton.testing.do_bench(run, warmup=3, rep=15, return_mode="median")
        print(
            f"band {band}: largest error {int(wrong.max())}, {float((wrong > 0).float().mean()):.2e} differ, {us:.1f} us",
            flush=True,
        )


if __name__ == "__main__":
    main()
