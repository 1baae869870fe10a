#!/usr/bin/env python3
"""parse_with_jax.py FILE: parses and verifies a module with JAX's own dialects; prints its custom calls."""
import sys

from jax._src.interpreters import mlir
from jax._src.lib.mlir import ir

with mlir.make_ir_context() as context:
    module = ir.Module.parse(open(sys.argv[1]).read())
    assert not context.allow_unregistered_dialects
    assert module.operation.verify()

    def visit(op):
        if op.name == "stablehlo.custom_call":
            print(op.attributes["call_target_name"].value)
        return ir.WalkResult.ADVANCE

    module.operation.walk(visit)
