"""jax_lowered.py TOOL: lowers functions with JAX and passes their text through TOOL. JAX must read the
same module from TOOL's output as from its own text."""
import os
import subprocess
import sys

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=4"

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.interpreters import mlir
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxlib.mlir import ir

mesh = Mesh(np.array(jax.devices()), ("tp",))
x = jnp.ones((4, 8))


def sharded(function):
    return jax.shard_map(function, mesh=mesh, in_specs=PartitionSpec(None, "tp"), out_specs=PartitionSpec(),
                         check_vma=False)


functions = {
    "all_gather": sharded(lambda a: lax.all_gather(a, "tp", axis=1, tiled=True)),
    "argmax": lambda a: jnp.argmax(a, 0),
    "barrier": lambda a: lax.optimization_barrier((a, a + 1)),
    "cholesky": lambda a: jnp.linalg.cholesky(a @ a.T),
    "complex": lambda a: jnp.real(lax.complex(a, a) * 1j),
    "cond": lambda a: lax.cond(a.sum() > 0, lambda v: v + 1, lambda v: v - 1, a),
    "convolution": lambda a: lax.conv_general_dilated(a.reshape(1, 1, 4, 8), jnp.ones((2, 1, 3, 3)), (1, 2), "SAME"),
    "cumsum": lambda a: jnp.cumsum(a, 1),
    "dot": lambda a: lax.dot(a, a.T, precision="BF16_BF16_F32"),
    "dynamic_slice": lambda a: lax.dynamic_slice(lax.dynamic_update_slice(a, a[:2], (1, 0)), (1, 1), (2, 2)),
    "einsum": lambda a: jnp.einsum("ab,cb->ac", a, a, precision="highest"),
    "fft": lambda a: jnp.fft.fft(a),
    "float8": lambda a: a.astype(jnp.float8_e4m3fn).astype(jnp.bfloat16),
    "gather": lambda a: a[jnp.array([0, 2]), :3],
    "gelu": jax.nn.gelu,
    "pad": lambda a: jnp.pad(a, ((1, 2), (0, 3)))[::-1],
    "psum": sharded(lambda a: lax.psum(a, "tp")),
    "pmax": sharded(lambda a: lax.pmax(a, "tp")),
    "random": lambda a: jax.random.normal(jax.random.key(0), (3,)) + a[0, 0],
    "reduce_precision": lambda a: lax.reduce_precision(a, 5, 10),
    "reduce_window": lambda a: lax.reduce_window(a, 0.0, lax.add, (2, 2), (1, 1), "VALID"),
    "scan": lambda a: lax.scan(lambda c, v: (c + v, c * v), a[0], a),
    "scatter": lambda a: a.at[1:3, 2].add(5.0),
    "sharding": lambda a: lax.with_sharding_constraint(a, NamedSharding(mesh, PartitionSpec("tp", None))) * 2,
    "softmax": jax.nn.softmax,
    "sort": lambda a: jnp.argsort(a, axis=1),
    "special": lambda a: jax.scipy.special.erf(a) + lax.lgamma(a) + jnp.square(a),
    "top_k": lambda a: lax.top_k(a, 2),
    "triangular_solve": lambda a: jax.scipy.linalg.solve_triangular(a @ a.T, a),
    "while": lambda a: lax.while_loop(lambda v: v.sum() < 100, lambda v: v * 2, a),
}


def as_jax_reads(text):
    with mlir.make_ir_context():
        return ir.Module.parse(text).operation.get_asm(print_generic_op_form=True)


failed = 0
for name, function in functions.items():
    text = str(jax.jit(function).lower(x).compiler_ir())
    done = subprocess.run([sys.argv[1]], input=text.encode(), capture_output=True)
    if done.returncode:
        problem = done.stderr.decode()
    elif as_jax_reads(done.stdout.decode()) != as_jax_reads(text):
        problem = "JAX reads another module from fiar-opt's output"
    else:
        continue
    failed += 1
    print(f"{name}: {problem}")
sys.exit(failed != 0)
