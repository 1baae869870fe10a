# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The custom calls themselves: what they refuse, and in which words."""
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

import blocks
import conftest
import fiar.jax

RANKS, TOKENS, HIDDEN = min(4, conftest.DEVICES), 6, 64
PART = -(-TOKENS // RANKS)  # a rank's rows of TOKENS
GROUPS = dict(world=np.int64(RANKS), group_ids=np.arange(RANKS, dtype=np.int64), groups_count=np.int64(1),
              group_mode=np.int64(3))
NORM = dict(GROUPS, eps=np.float32(1e-6), weight_bias=np.float32(0), scale_min=np.float32(0), quant="none",
            scale_layout="linear", group_size=np.int64(0), scale_is="divisor", norm_input="rounded", scale_type="f32",
            norm_rounding="before_weight", residual_layout="full", operands=np.int64(1), results=np.int64(4))


def call(op, operands, results, attributes, specs=P("tp"), out=P()):
    """Runs the call on RANKS devices; operands are sharded over their first dimension."""
    fiar.jax.register()

    def body(*local):
        outs = jax.ffi.ffi_call(f"fiar.{op}", results, has_side_effect=True)(*local, **attributes)
        return tuple(outs)

    run = jax.shard_map(body, mesh=blocks.mesh(RANKS), in_specs=(specs,) * len(operands), out_specs=out, check_vma=False)
    return jax.block_until_ready(jax.jit(run)(*operands))


def rows(count=TOKENS, dtype=jnp.float32):
    return jnp.arange(RANKS * count * HIDDEN, dtype=jnp.float32).reshape(RANKS * count, HIDDEN).astype(dtype)


def result(count=TOKENS, dtype=jnp.float32):
    return jax.ShapeDtypeStruct((count, HIDDEN), dtype)


def test_all_reduce():
    x = rows()
    (got,) = call("all_reduce", [x], [result()], GROUPS)
    np.testing.assert_array_equal(got, np.asarray(x).reshape(RANKS, TOKENS, HIDDEN).sum(0))


def test_all_gather_rows_restores_the_order():
    x = rows(PART)
    (got,) = call("all_gather_rows", [x], [result()], GROUPS)
    x = np.asarray(x).reshape(RANKS, PART, HIDDEN)
    np.testing.assert_array_equal(got, [x[t % RANKS, t // RANKS] for t in range(TOKENS)])


def test_take_rows_gives_each_rank_its_own():
    x = jnp.arange(TOKENS * HIDDEN, dtype=jnp.float32).reshape(TOKENS, HIDDEN)
    (got,) = call("take_rows", [x], [result(PART)], GROUPS, specs=P(), out=P("tp"))
    got = np.asarray(got).reshape(RANKS, PART, HIDDEN)
    for t in range(TOKENS):
        np.testing.assert_array_equal(got[t % RANKS, t // RANKS], x[t])


@pytest.mark.parametrize("change, sentence", [
    (dict(eps=np.int64(1)), "attribute eps must be an f32"),
    (dict(quant="int3"), 'attribute quant is "int3", which is none of its spellings'),
    (dict(novelty=np.int64(1)), "attribute novelty is not known to this version of fiar"),
    (dict(world=None), "attribute world is missing"),
    (dict(world=np.int64(0)), "attribute world is 0, must be between 1 and 64"),
    (dict(groups_count=np.int64(2)), f"group_ids has {RANKS} ids, must have groups_count 2 x world {RANKS}"),
    (dict(group_mode=np.int64(7)), "attribute group_mode is 7"),
    (dict(operands=np.int64(2)), "attribute operands is 2, which leaves out x"),
    (dict(operands=np.int64(5)), "the call has 1 operands, fewer than its bit set 5 names"),
    (dict(results=np.int64(8)), "quant"),
    (dict(eps=np.float32(-1)), "eps"),
])
def test_refusals_name_the_attribute(change, sentence):
    attributes = {name: value for name, value in {**NORM, **change}.items() if value is not None}
    with pytest.raises(Exception, match=sentence):
        call("all_reduce_norm", [rows()], [result()], attributes)


def test_refusals_name_the_operand():
    with pytest.raises(Exception, match="norm has 320 elements, must have 384"):
        call("all_reduce_norm", [rows()], [result(5)], NORM)
    with pytest.raises(Exception, match="x has XLA element type 4, must be f16, bf16 or f32"):
        call("all_reduce_norm", [rows(dtype=jnp.int32)], [result()], NORM)
    with pytest.raises(Exception, match="norm has XLA element type 16, which is not that of x"):
        call("all_reduce_norm", [rows()], [result(dtype=jnp.bfloat16)], NORM)


def test_a_device_of_no_group_is_named(cpu_only):
    with pytest.raises(Exception, match="device . runs the call but is in none of its 1 groups"):
        call("all_reduce_norm", [rows()], [result()], {**NORM, "group_ids": np.arange(RANKS, 2 * RANKS)})


def test_devices_that_do_not_come_are_named(cpu_only):
    """Half of the devices of a group run its call."""
    missing = ", ".join(str(device) for device in range(RANKS, 2 * RANKS))
    with pytest.raises(Exception, match=f"of {2 * RANKS} devices came within .* ms; missing: {missing}"):
        call("all_reduce_norm", [rows()], [result()],
             {**NORM, "world": np.int64(2 * RANKS), "group_ids": np.arange(2 * RANKS, dtype=np.int64)})
