# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""exempt.py: modules whose scales overflow or are NaN: where docs/numerics.md lets the fused op differ from its source."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "fuse", "Inputs"))
import forms
from builder import Builder


def module(eps, quantise):
    b = Builder(2)
    h = b.ew("add", b.all_reduce(b.arg([3, 64], "bf16")), b.arg([3, 64], "bf16"))
    norm = forms.rms_norm(b, b.convert(h, "f32"), b.arg([64], "bf16"), "before", "bf16", eps)
    return b.module(h, *quantise(b, norm))


def dequantised(b, codes, scales):
    """The codes multiplied by their blocks' scales again."""
    wide = b.reshape(b.convert(codes, "f32"), [*scales[1], codes[1][-1] // scales[1][-1]])
    return [b.ew("multiply", wide, b.broadcast(b.convert(scales, "f32"), wide[1], [0, 1]))]


print("\n// -----\n".join([
    # nvfp4 scales beyond 448, by a large global scale: with a multiplier, and with a small divisor.
    module(1e-6, lambda b, norm: forms.nvfp4(b, norm, b.constant(100.0), True)),
    module(1e-6, lambda b, norm: forms.nvfp4(b, norm, b.constant(0.001), False)),
    # The same of sources that bound their scales by 448, as the fused op does.
    module(1e-6, lambda b, norm: forms.nvfp4(b, norm, b.constant(100.0), True, bounded="after")),
    module(1e-6, lambda b, norm: forms.nvfp4(b, norm, b.constant(0.001), False, bounded="before")),
    # eps 0: a row of zeros has a norm of NaN, and no format says what fp4 code that is, or what power of two.
    module(0.0, lambda b, norm: forms.nvfp4(b, norm, None, False)),
    module(0.0, lambda b, norm: forms.mx(b, norm, "f4E2M1FN", "unbiased")),
    module(0.0, lambda b, norm: forms.mx(b, norm, "f8E4M3FN", "maximum")),
    module(0.0, lambda b, norm: forms.fp8_power(b, norm, 32, 1e-4, "carry")),
    # What is computed from such a code is open, too: where a row is of zeros, 0 / 0 is one here.
    module(1e-6, lambda b, norm: dequantised(b, *forms.nvfp4(b, norm, None, False, guarded=False))),
    module(0.0, lambda b, norm: dequantised(b, *forms.mx(b, norm, "f4E2M1FN", "unbiased"))),
]))
