"""One int8 convolution kernel in Gluon whose epilogue touches no shared memory; compiled for sm_90, not yet run."""

import collections
import math
import os
import re
import subprocess

import triton
import triton.backends.nvidia as nv
from triton.backends.compiler import GPUTarget
from triton.experimental import gluon
from triton.experimental.gluon import language as gl
from triton.experimental.gluon._runtime import GluonASTSource
from triton.experimental.gluon.language.nvidia.ampere import async_copy as cp
from triton.experimental.gluon.language.nvidia.hopper import (
    fence_async_shared,
    warpgroup_mma,
    warpgroup_mma_wait,
)

B = os.path.join(os.path.dirname(nv.__file__), "bin")


@gluon.jit
def to_float(q):
    return gl.inline_asm_elementwise(
        """{ .reg .b32 t, m; mov.b32 m, 0x4B000000; xor.b32 t, $4, 0x80808080;
        prmt.b32 $0, t, m, 0x7440; prmt.b32 $1, t, m, 0x7441; prmt.b32 $2, t, m, 0x7442; prmt.b32 $3, t, m, 0x7443;
        sub.f32 $0, $0, 0f4B000080; sub.f32 $1, $1, 0f4B000080; sub.f32 $2, $2, 0f4B000080; sub.f32 $3, $3, 0f4B000080; }""",
        "=f,=f,=f,=f,r",
        [q],
        dtype=gl.float32,
        is_pure=True,
        pack=4,
    )


@gluon.jit
def to_int8(v):
    return gl.inline_asm_elementwise(
        """{ .reg .s32 a, b, c, d, t; cvt.rni.s32.f32 a, $1; cvt.rni.s32.f32 b, $2; cvt.rni.s32.f32 c, $3; cvt.rni.s32.f32 d, $4;
        cvt.pack.sat.s8.s32.b32 t, d, c, 0; cvt.pack.sat.s8.s32.b32 $0, b, a, t; }""",
        "=r,f,f,f,f",
        [v],
        dtype=gl.int8,
        is_pure=True,
        pack=4,
    )


@gluon.jit
def issue(
    step,
    a_s,
    b_s,
    slot,
    image,
    weight,
    base,
    top,
    left,
    is_pixel,
    wrow,
    rk,
    HEIGHT: gl.constexpr,
    WIDTH: gl.constexpr,
    CHANNELS: gl.constexpr,
    KERNEL_W: gl.constexpr,
    WEIGHTS: gl.constexpr,
    SLICES: gl.constexpr,
    STEPS: gl.constexpr,
    BLOCK_K: gl.constexpr,
    POINT: gl.constexpr,
):
    there = step < STEPS
    tap = step // SLICES
    first = (step % SLICES) * BLOCK_K
    at_y = top + tap // KERNEL_W
    at_x = left + tap % KERNEL_W
    if POINT:
        ok = is_pixel & there
    else:
        ok = is_pixel & there & (at_y >= 0) & (at_y < HEIGHT) & (at_x >= 0) & (at_x < WIDTH)
    pa = image + (base + at_y * WIDTH + at_x)[:, None] * CHANNELS + first + rk[None, :]
    cp.async_copy_global_to_shared(a_s.index(slot), pa, mask=ok[:, None])
    cp.async_copy_global_to_shared(
        b_s.index(slot), weight + wrow[:, None] * WEIGHTS + (tap * CHANNELS + first) + rk[None, :], mask=there
    )
    cp.commit_group()


@gluon.jit
def conv(
    image,
    weight,
    scale,
    bias,
    residual,
    output,
    pixels,
    residual_scale,
    HEIGHT: gl.constexpr,
    WIDTH: gl.constexpr,
    CHANNELS: gl.constexpr,
    OUT_HEIGHT: gl.constexpr,
    OUT_WIDTH: gl.constexpr,
    OUT_CHANNELS: gl.constexpr,
    KERNEL_H: gl.constexpr,
    KERNEL_W: gl.constexpr,
    STRIDE: gl.constexpr,
    PAD: gl.constexpr,
    HAS_RESIDUAL: gl.constexpr,
    RELU: gl.constexpr,
    BLOCK_M: gl.constexpr,
    BLOCK_N: gl.constexpr,
    BLOCK_K: gl.constexpr,
    STAGES: gl.constexpr,
    NW: gl.constexpr,
    OUT: gl.constexpr,
):
    COLS: gl.constexpr = OUT_CHANNELS // BLOCK_N
    SLICES: gl.constexpr = CHANNELS // BLOCK_K
    STEPS: gl.constexpr = KERNEL_H * KERNEL_W * SLICES
    WEIGHTS: gl.constexpr = KERNEL_H * KERNEL_W * CHANNELS
    POINT: gl.constexpr = PAD == 0
    pid = gl.program_id(0)
    m0 = (pid // COLS) * BLOCK_M
    n0 = (pid % COLS) * BLOCK_N
    SH: gl.constexpr = gl.NVMMASharedLayout(
        swizzle_byte_width=BLOCK_K if BLOCK_K < 128 else 128, element_bitwidth=8, rank=2
    )
    a_s = gl.allocate_shared_memory(gl.int8, [STAGES, BLOCK_M, BLOCK_K], SH)
    b_s = gl.allocate_shared_memory(gl.int8, [STAGES, BLOCK_N, BLOCK_K], SH)
    LD: gl.constexpr = gl.BlockedLayout([1, 16], [32 // (BLOCK_K // 16), BLOCK_K // 16], [NW, 1], [1, 0])
    rk = gl.arange(0, BLOCK_K, layout=gl.SliceLayout(0, LD))
    row = m0 + gl.arange(0, BLOCK_M, layout=gl.SliceLayout(1, LD))
    # the matrix unit gives a thread columns 8j + 2q + e (q its place in a quad): rows of weights are fetched in the
    # order that makes these the BLOCK_N / 4 consecutive channels of the thread
    c = gl.arange(0, BLOCK_N, layout=gl.SliceLayout(1, LD))
    wrow = n0 + (c % 8) // 2 * (BLOCK_N // 4) + (c // 8) * 2 + c % 2
    is_pixel = row < pixels
    x = row % OUT_WIDTH
    t = row // OUT_WIDTH
    y = t % OUT_HEIGHT
    base = (t // OUT_HEIGHT) * (HEIGHT * WIDTH)
    top = y * STRIDE - PAD
    left = x * STRIDE - PAD
    for s in gl.static_range(STAGES - 1):
        issue(
            s,
            a_s,
            b_s,
            s,
            image,
            weight,
            base,
            top,
            left,
            is_pixel,
            wrow,
            rk,
            HEIGHT,
            WIDTH,
            CHANNELS,
            KERNEL_W,
            WEIGHTS,
            SLICES,
            STEPS,
            BLOCK_K,
            POINT,
        )
    om = m0 + gl.arange(0, BLOCK_M, layout=gl.SliceLayout(1, OUT))
    on = n0 + gl.arange(0, BLOCK_N, layout=gl.SliceLayout(0, OUT))
    place = om[:, None] * OUT_CHANNELS + on[None, :]
    keep = (om < pixels)[:, None]
    if HAS_RESIDUAL:
        r = gl.load(residual + place, mask=keep, other=0)
    ACC: gl.constexpr = gl.NVMMADistributedLayout(
        [3, 0], [NW, 1], [16, 128 if BLOCK_N > 128 else BLOCK_N, 32]
    )
    acc = gl.zeros((BLOCK_M, BLOCK_N), gl.int32, layout=ACC)
    for step in range(STEPS):
        slot = step % STAGES
        cp.wait_group(STAGES - 2)
        fence_async_shared()
        gl.thread_barrier()
        acc = warpgroup_mma(a_s.index(slot), b_s.index(slot).permute((1, 0)), acc, is_async=True)
        acc = warpgroup_mma_wait(num_outstanding=1, deps=(acc,))
        issue(
            step + STAGES - 1,
            a_s,
            b_s,
            (step + STAGES - 1) % STAGES,
            image,
            weight,
            base,
            top,
            left,
            is_pixel,
            wrow,
            rk,
            HEIGHT,
            WIDTH,
            CHANNELS,
            KERNEL_W,
            WEIGHTS,
            SLICES,
            STEPS,
            BLOCK_K,
            POINT,
        )
    acc = warpgroup_mma_wait(num_outstanding=0, deps=(acc,))
    v = gl.convert_layout(
        acc.reshape((BLOCK_M, BLOCK_N // 8, 4, 2)).permute(0, 2, 1, 3).reshape((BLOCK_M, BLOCK_N)), OUT
    )

    f = v.to(gl.float32) * gl.load(scale + on)[None, :] + gl.load(bias + on)[None, :]
    if HAS_RESIDUAL:
        f = f + to_float(r) * residual_scale
    if RELU:
        f = gl.maximum(f, 0.0)
    gl.store(output + place, to_int8(f), mask=keep)


def layout(bm, bn, nw):
    j = [[0, 2**i] for i in range(int(math.log2(bn // 4)))]
    rows = 16 * 4 * (nw // 4)
    reg = j + [[8, 0]] + [[r, 0] for r in (64, 128) if rows <= r < bm]
    warp = [[16, 0], [32, 0]] + ([[64, 0]] if nw == 8 else [])
    return gl.DistributedLinearLayout(
        reg_bases=reg,
        lane_bases=[[0, bn // 4], [0, bn // 2], [1, 0], [2, 0], [4, 0]],
        warp_bases=warp,
        block_bases=[],
        shape=[bm, bn],
    )


def report(c, label):
    open("/tmp/forge.cubin", "wb").write(c.asm["cubin"])
    t = subprocess.run([B + "/nvdisasm", "-c", "/tmp/forge.cubin"], capture_output=True, text=True).stdout
    r = subprocess.run(
        [B + "/cuobjdump", "-res-usage", "/tmp/forge.cubin"], capture_output=True, text=True
    ).stdout
    regs = re.search(r"REG:(\d+) STACK:(\d+)", r)
    ops = [
        m[1]
        for l in t.splitlines()
        if (m := re.search(r"/\*[0-9a-f]{4,5}\*/\s+(?:@!?\w+\s+)?([A-Z0-9_.]+)", l))
    ]
    full = collections.Counter(ops)
    cnt = collections.Counter(o.split(".")[0] for o in ops)
    print(
        label,
        "total",
        len(ops),
        "regs/stack",
        regs and regs.groups(),
        "shared",
        c.metadata.shared,
        {
            k: cnt[k]
            for k in (
                "I2F",
                "F2I",
                "F2IP",
                "I2FP",
                "FFMA",
                "FADD",
                "FMUL",
                "FMNMX",
                "PRMT",
                "LDS",
                "LDSM",
                "STS",
                "STSM",
                "LDG",
                "STG",
                "LDGSTS",
                "IGMMA",
                "BAR",
                "MOV",
                "LOP3",
            )
            if cnt[k]
        },
        {k: v for k, v in full.items() if k.startswith(("STG", "LDG.", "LDS"))},
    )


names = [p.name for p in conv.params]


def build(C, K, H, R, st, res, bm, bn, bk, nw, ns):
    P = H // st
    const = dict(
        HEIGHT=H,
        WIDTH=H,
        CHANNELS=C,
        OUT_HEIGHT=P,
        OUT_WIDTH=P,
        OUT_CHANNELS=K,
        KERNEL_H=R,
        KERNEL_W=R,
        STRIDE=st,
        PAD=R // 2,
        HAS_RESIDUAL=res,
        RELU=True,
        BLOCK_M=bm,
        BLOCK_N=bn,
        BLOCK_K=bk,
        STAGES=ns,
        NW=nw,
        OUT=layout(bm, bn, nw),
    )
    sig = {
        n: (
            "constexpr"
            if n in const
            else "*i8"
            if n in ("image", "weight", "residual", "output")
            else "*fp32"
            if n in ("scale", "bias")
            else "i32"
            if n == "pixels"
            else "fp32"
        )
        for n in names
    }
    src = GluonASTSource(
        conv, signature=sig, constexprs=const, attrs={(i,): [["tt.divisibility", 16]] for i in range(7)}
    )
    return triton.compile(src, target=GPUTarget("cuda", 90, 32), options=dict(num_warps=nw))


if __name__ == "__main__":
    for l in (
        (64, 256, 56, 1, 1, True),
        (64, 64, 56, 3, 1, False),
        (256, 64, 56, 1, 1, False),
        (128, 512, 28, 1, 1, True),
        (256, 1024, 14, 1, 1, True),
        (256, 256, 14, 3, 1, False),
        (512, 512, 14, 3, 2, False),
        (256, 512, 56, 1, 2, False),
    ):
        for cfg in (
            (128, 64, 64, 4, 3),
            (128, 128, 64, 8, 3),
            (128, 128, 128, 8, 3),
            (128, 128, 128, 4, 3),
            (256, 64, 64, 8, 3),
        ):
            if cfg[2] > l[0] or cfg[1] > l[1]:
                continue
            try:
                report(build(*l, *cfg), f"{l} {cfg}")
            except Exception as e:
                print(l, cfg, "ERR", repr(e)[-300:])
