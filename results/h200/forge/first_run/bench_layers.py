"""Every int8 layer of ResNet-50 with the Gluon kernel: right against integer arithmetic, then timed, all candidates.

python3 bench_layers.py [batch] > layers.txt        (one H200, about a minute; inputs larger than L2)
"""

import json
import multiprocessing
import sys
import time

import torch
import triton
from gluon_convolution import conv, layout

COPY = 4.24e12  # bytes/s and operations/s that one H200 was seen to reach (results/h200/scaling)
PRODUCT = 9.0e14


def layers() -> list[dict]:
    """The convolutions of ResNet-50 v1.5 behind the stem, with how often each shape occurs."""
    found: dict[tuple, dict] = {}
    width, height = 64, 56
    for planes, blocks, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for block in range(blocks):
            step = stride if block == 0 else 1
            after = height // step
            wanted = [(width, planes, height, 1, 1, False), (planes, planes, height, 3, step, False)]
            wanted += [(width, 4 * planes, height, 1, step, False)] if block == 0 else []
            wanted += [(planes, 4 * planes, after, 1, 1, True)]
            for key in wanted:
                layer = dict(zip(("C", "K", "H", "R", "stride", "residual"), key, strict=True))
                found.setdefault(key, layer | {"count": 0})["count"] += 1
            width, height = 4 * planes, after
    return list(found.values())


def candidates(layer: dict) -> list[tuple[int, int, int, int, int]]:
    """BLOCK_M, BLOCK_N, BLOCK_K, warps, stages."""
    return [
        (m, n, k, w, s)
        for m, n, w in (
            (64, 64, 4),
            (128, 64, 4),
            (64, 128, 4),
            (128, 128, 8),
            (256, 64, 8),
            (128, 128, 4),
            (128, 256, 8),
        )
        for k in (64, 128)
        for s in (2, 3, 4)
        if n <= layer["K"]
        and k <= layer["C"]
        and (m + n) * k * s <= 200_000
        and not (s > 2 and layer["R"] ** 2 * layer["C"] // k < s)
    ]


def constants(layer: dict, config: tuple[int, ...]) -> dict:
    """Compile-time arguments."""
    m, n, k, warps, stages = config
    out = layer["H"] // layer["stride"]
    return dict(
        HEIGHT=layer["H"],
        WIDTH=layer["H"],
        CHANNELS=layer["C"],
        OUT_HEIGHT=out,
        OUT_WIDTH=out,
        OUT_CHANNELS=layer["K"],
        KERNEL_H=layer["R"],
        KERNEL_W=layer["R"],
        STRIDE=layer["stride"],
        PAD=layer["R"] // 2,
        HAS_RESIDUAL=layer["residual"],
        RELU=True,
        BLOCK_M=m,
        BLOCK_N=n,
        BLOCK_K=k,
        STAGES=stages,
        NW=warps,
        OUT=layout(m, n, warps),
        num_warps=warps,
    )


def made(layer: dict, batch: int) -> dict:
    """Random tensors of a layer."""
    out = layer["H"] // layer["stride"]
    int8 = dict(dtype=torch.int8, device="cuda")
    scale = torch.rand(layer["K"], device="cuda") * 2e-2 / (layer["C"] * layer["R"] ** 2) ** 0.5
    return dict(
        image=torch.randint(-128, 128, (batch, layer["H"], layer["H"], layer["C"]), **int8),
        weight=torch.randint(-127, 128, (layer["K"], layer["R"], layer["R"], layer["C"]), **int8),
        scale=scale,
        bias=torch.randn(layer["K"], device="cuda") * 10,
        residual=torch.randint(-128, 128, (batch, out, out, layer["K"]), **int8),
        output=torch.empty((batch, out, out, layer["K"]), **int8),
    )


def expected(layer: dict, t: dict, images: int) -> torch.Tensor:
    """The first images by float64 convolution, which is exact here, then the epilogue in float32."""
    x = t["image"][:images].permute(0, 3, 1, 2).double()
    w = t["weight"].permute(0, 3, 1, 2).double()
    total = torch.nn.functional.conv2d(x, w, stride=layer["stride"], padding=layer["R"] // 2)
    value = total.permute(0, 2, 3, 1).float() * t["scale"] + t["bias"]
    if layer["residual"]:
        value = value + t["residual"][:images].float() * 0.37
    return value.clamp(min=0).round().clamp(-128, 127).to(torch.int8)


def launch(layer: dict, t: dict, config: tuple[int, ...], batch: int) -> None:
    pixels = batch * (layer["H"] // layer["stride"]) ** 2
    grid = (triton.cdiv(pixels, config[0]) * (layer["K"] // config[1]),)
    conv[grid](
        t["image"],
        t["weight"],
        t["scale"],
        t["bias"],
        t["residual"],
        t["output"],
        pixels,
        0.37,
        **constants(layer, config),
    )


def compiled(job: tuple[dict, tuple[int, ...]]) -> str:
    """Fill Triton's cache in a process of its own; what went wrong, if anything did."""
    layer, config = job
    try:
        int8, real = torch.int8, torch.float32
        conv.warmup(int8, int8, real, real, int8, int8, 802816, 0.37, **constants(layer, config), grid=(1,))
    except Exception as error:
        return f"{layer} {config}: {error!r}"[:200]
    return ""


def main() -> None:
    batch, began = int(sys.argv[1]) if len(sys.argv) > 1 else 256, time.time()
    torch.backends.cudnn.benchmark = False
    every, rows, total_us, roof_us = layers(), [], 0.0, 0.0
    jobs = [(i, c) for i, layer in enumerate(every) for c in candidates(layer)]

    with multiprocessing.get_context("spawn").Pool(15) as pool:
        failures = [f for f in pool.map(compiled, [(every[i], c) for i, c in jobs], chunksize=2) if f]
    print(
        f"compiled {len(jobs)} candidates in {time.time() - began:.1f} s, {len(failures)} failed",
        failures[:2],
        flush=True,
    )
    for i, layer in enumerate(every):
        t, best = made(layer, batch), None
        reference = expected(layer, t, 2)
        out = layer["H"] // layer["stride"]
        for config in candidates(layer):
            try:
                t["output"].fill_(77)
                launch(layer, t, config, batch)
                wrong = (t["output"][:2].int() - reference.int()).abs()
                if wrong.max() > 1 or (wrong > 0).float().mean() > 1e-4:
                    print(
                        "WRONG",
                        layer,
                        config,
                        int(wrong.max()),
                        float((wrong > 0).float().mean()),
                        flush=True,
                    )
                    continue
                ms = triton.testing.do_bench(
                    lambda: launch(layer, t, config, batch), warmup=2, rep=8, return_mode="median"
                )
            except Exception as error:
                print("FAILED", layer, config, repr(error)[:150], flush=True)
                continue
            rows.append({**layer, "config": config, "us": 1e3 * ms})
            best = min(best or (1e9, config), (1e3 * ms, config))
        if best is None:
            continue
        pixels = batch * out * out
        read = t["image"].numel() // (layer["stride"] ** 2 if layer["R"] == 1 else 1)
        moved = read + pixels * layer["K"] * (2 if layer["residual"] else 1) + t["weight"].numel()
        operations = 2.0 * pixels * layer["K"] * layer["C"] * layer["R"] ** 2
        floor = 1e6 * max(moved / COPY, operations / PRODUCT)
        total_us += best[0] * layer["count"]
        roof_us += floor * layer["count"]
        print(
            f"{layer} {best[0]:7.1f} us, floor {floor:6.1f}, {moved / best[0] / 1e6:5.2f} TB/s, "
            f"{operations / best[0] / 1e6:6.0f} T op/s {best[1]}",
            flush=True,
        )
    print(
        f"sum {total_us:.0f} us of floor {roof_us:.0f}: {batch / total_us * 1e6:.0f} images/s without the stem, "
        f"{time.time() - began:.0f} s"
    )
    with open("layers.json", "w") as file:
        json.dump(rows, file)


if __name__ == "__main__":
    main()
