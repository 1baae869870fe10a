# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""fiar: fused all-reduce, RMSNorm and quantisation. `import fiar.jax` for JAX."""
__version__ = "0.1.0"
