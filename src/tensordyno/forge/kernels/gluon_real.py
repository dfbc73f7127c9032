"""fp16 and bf16 behind Hopper's convolutions: two to a word, made float32 and back (gluon_convolution.py)."""

from triton.experimental import gluon
from triton.experimental.gluon import language as gl


@gluon.jit
def pairs_to_floats(words, FORMAT: gl.constexpr):
    """Both elements of each int32 word as float32, exactly: first the lower ones, two tensors like `words`.

    FORMAT is gl.float16 or gl.bfloat16. A bf16 is the upper half of a float32.
    """
    if gl.bfloat16 == FORMAT:
        lower = (words << 16).to(gl.float32, bitcast=True)
        upper = (words & -65536).to(gl.float32, bitcast=True)
    else:
        lower = words.to(gl.int16).to(FORMAT, bitcast=True).to(gl.float32)
        upper = (words >> 16).to(gl.int16).to(FORMAT, bitcast=True).to(gl.float32)
    return lower, upper


@gluon.jit
def floats_to_pairs(lower, upper, FORMAT: gl.constexpr):
    """The int32 words that `pairs_to_floats` takes apart, of float32 rounded half to even in FORMAT."""
    BOTH: gl.constexpr = "bf16x2" if gl.bfloat16 == FORMAT else "f16x2"
    return gl.inline_asm_elementwise(
        asm="cvt.rn." + BOTH + ".f32 $0, $2, $1;",  # PTX names the upper half first
        constraints="=r,f,f",
        args=[lower, upper],
        dtype=gl.int32,
        is_pure=True,
        pack=1,
    )
