"""ResNet's stem in one kernel (7x7 stride 2, ReLU, 3x3 max-pool stride 2), int8; compiled for sm_90, not yet run.

The image comes with each 2 x 2 block of pixels as 16 channels (12 and 4 zeros): the 7x7 stride-2 convolution is then
a 4x4 stride-1 one, whose kernel rows are 64 consecutive, 16-byte aligned bytes. Output channels are the rows of the
matrix product and one row of pixels its columns: the two pixels that a thread holds side by side are those of one
pooling window, and the third is its neighbour's.
"""

import re
import subprocess

import triton
from gluon_convolution import B, GluonASTSource, report, to_int8
from triton.backends.compiler import GPUTarget
from triton.experimental import gluon
from triton.experimental.gluon import language as gl
from triton.experimental.gluon.language.nvidia.ampere import async_copy as cp
from triton.experimental.gluon.language.nvidia.hopper import (
    fence_async_shared,
    warpgroup_mma,
    warpgroup_mma_wait,
)


@gluon.jit
def fetch(slot, pixels, image, row, base, HEIGHT: gl.constexpr, WIDTH: gl.constexpr, NW: gl.constexpr):
    """Four taps of one convolution row into a slot: for each WIDTH pixels of 64 bytes."""
    LD: gl.constexpr = gl.BlockedLayout([1, 16], [8, 4], [NW, 1], [1, 0])
    x = gl.arange(0, 128, layout=gl.SliceLayout(1, LD))
    k = gl.arange(0, 64, layout=gl.SliceLayout(0, LD))
    at = x[:, None] - 2 + (k // 16)[None, :]
    inside = (at >= 0) & (at < WIDTH) & (x < WIDTH)[:, None]
    for tap in gl.static_range(4):
        y = row - 2 + tap
        place = base + y * (WIDTH * 16) + (x * 16 - 32)[:, None] + k[None, :]
        ok = inside & (y >= 0) & (y < HEIGHT)
        cp.async_copy_global_to_shared(pixels.index(slot * 4 + tap), image + place, mask=ok)
    cp.commit_group()


@gluon.jit
def stem(
    image,
    weight,
    scale,
    bias,
    output,
    HEIGHT: gl.constexpr,
    WIDTH: gl.constexpr,
    BAND: gl.constexpr,
    NW: gl.constexpr,
):
    """A band of BAND pooled rows of one image: 64 channels x WIDTH / 2 pooled pixels each.

    image (batch, HEIGHT, WIDTH, 16) int8, weight (64, 4, 4, 16) int8, output (batch, HEIGHT / 2, WIDTH / 2, 64) int8.
    """
    BANDS: gl.constexpr = (HEIGHT // 2) // BAND
    pid = gl.program_id(0)
    first = (pid % BANDS) * BAND
    n = pid // BANDS
    base = n * (HEIGHT * WIDTH * 16)
    SH: gl.constexpr = gl.NVMMASharedLayout(swizzle_byte_width=64, element_bitwidth=8, rank=2)
    w_s = gl.allocate_shared_memory(gl.int8, [4, 64, 64], SH)
    pixels = gl.allocate_shared_memory(gl.int8, [8, 128, 64], SH)
    LW: gl.constexpr = gl.BlockedLayout([1, 16], [8, 4], [NW, 1], [1, 0])
    wr = gl.arange(0, 64, layout=gl.SliceLayout(1, LW))
    wk = gl.arange(0, 64, layout=gl.SliceLayout(0, LW))
    for tap in gl.static_range(4):
        cp.async_copy_global_to_shared(w_s.index(tap), weight + wr[:, None] * 256 + tap * 64 + wk[None, :])
    ACC: gl.constexpr = gl.NVMMADistributedLayout([3, 0], [NW, 1], [16, 128, 32])
    fetch(0, pixels, image, 2 * first - 1, base, HEIGHT, WIDTH, NW)
    least = gl.full((64, 128), -2147483648, gl.int32, layout=ACC)
    above = least
    best = least
    for step in range(2 * BAND + 1):
        row = 2 * first - 1 + step
        slot = step % 2
        if step < 2 * BAND:
            fetch(1 - slot, pixels, image, row + 1, base, HEIGHT, WIDTH, NW)
            cp.wait_group(1)
        else:
            cp.wait_group(0)
        fence_async_shared()
        gl.thread_barrier()
        acc = gl.zeros((64, 128), gl.int32, layout=ACC)
        for tap in gl.static_range(4):
            acc = warpgroup_mma(
                w_s.index(tap), pixels.index(slot * 4 + tap).permute((1, 0)), acc, is_async=True
            )
            acc = warpgroup_mma_wait(num_outstanding=1, deps=(acc,))
        acc = warpgroup_mma_wait(num_outstanding=0, deps=(acc,))
        acc = gl.where(row >= 0, acc, least)
        best = gl.maximum(best, acc)
        if step % 2 == 0:
            if step > 0:
                # rows 2p-1, 2p, 2p+1 are in: now the columns
                pairs = best.reshape((64, 64, 2))
                even, odd = gl.split(pairs)
                pooled_row = first + step // 2 - 1
                wide = gl.maximum(even, odd)
                PL: gl.constexpr = wide.type.layout
                q = gl.arange(0, 64, layout=gl.SliceLayout(0, PL))
                c = gl.arange(0, 64, layout=gl.SliceLayout(1, PL))
                left = gl.gather(odd, gl.maximum(q - 1, 0)[None, :] + c[:, None] * 0, axis=1)
                wide = gl.maximum(wide, gl.where((q > 0)[None, :], left, wide))
                value = wide.to(gl.float32) * gl.load(scale + c)[:, None] + gl.load(bias + c)[:, None]
                value = gl.maximum(value, 0.0)
                OUT: gl.constexpr = gl.BlockedLayout([16, 1], [4, 8], [1, NW], [0, 1])
                done = gl.convert_layout(to_int8(value), OUT)
                oq = gl.arange(0, 64, layout=gl.SliceLayout(0, OUT))
                oc = gl.arange(0, 64, layout=gl.SliceLayout(1, OUT))
                place = ((n * (HEIGHT // 2) + pooled_row) * (WIDTH // 2) + oq[None, :]) * 64 + oc[:, None]
                gl.store(output + place, done, mask=(oq < WIDTH // 2)[None, :] & (oc < 64)[:, None])
            best = acc
        gl.thread_barrier()


names = [p.name for p in stem.params]
const = dict(HEIGHT=112, WIDTH=112, BAND=8, NW=4)
sig = {n: "constexpr" if n in const else "*fp32" if n in ("scale", "bias") else "*i8" for n in names}
src = GluonASTSource(
    stem, signature=sig, constexprs=const, attrs={(i,): [["tt.divisibility", 16]] for i in range(5)}
)
if __name__ == "__main__":
    report(triton.compile(src, target=GPUTarget("cuda", 90, 32), options=dict(num_warps=4)), "stem")
