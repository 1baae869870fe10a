# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""fiar for JAX: `fuse` a function, `report` what would be fused, `rewrite` a module's text.

A fused function computes what the original does, with each
all-reduce -> [residual add] -> RMSNorm -> [quantisation] as one call of fiar's runtime. It is
lowered with jax.export, rewritten by fiar-opt and called back through jax.export, so it is an
ordinary JAX function: it runs under jit, scan and vmap, keeps shardings and donated arguments, and
is differentiated through the original.
"""
import collections
import ctypes
import dataclasses
import functools
import inspect
import os
import re
import threading
import warnings

import jax
import jax.export
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from fiar import _home, _opt
from fiar._opt import Report, RewriteError

__all__ = ["fuse", "record", "report", "rewrite", "register", "FusedFunction", "NothingFused", "Report", "RewriteError"]

_OPS = ("all_reduce_norm", "all_reduce", "all_gather_rows", "take_rows")
_PLATFORMS = {"cpu": ("fiar_xla_host_", ("execute",)),
              "CUDA": ("fiar_xla_", ("prepare", "initialize", "execute"))}
_register_lock = threading.Lock()
_library = None


class NothingFused(UserWarning):
    """fuse() found nothing to fuse; the text says why."""


def register():
    """Registers the custom-call targets with XLA, for CPU and, where the library has them, CUDA.

    `fuse` does it by itself. Call it before running a module that `rewrite` gave. Any thread;
    the second call does nothing.
    """
    global _library
    with _register_lock:
        if _library is not None:
            return
        library = ctypes.CDLL(_home.find("lib/libfiar_xla.so"))
        for platform, (prefix, stages) in _PLATFORMS.items():
            for op in _OPS:
                handler = getattr(library, prefix + op, None)
                if handler is not None:
                    capsule = jax.ffi.pycapsule(handler)
                    jax.ffi.register_ffi_target(f"fiar.{op}", {stage: capsule for stage in stages}, platform=platform)
        _library = library


# Nested jits are functions: a sum that one returns is normalised by its caller. In a scan over
# layers, the next turn normalises it.
_FUSE = ["fiar-inline", "fiar-rotate-loops", "fiar-fuse{report=json}"]


def rewrite(module_text, device_ids=None, shard_residual=False):
    """The text of a StableHLO module with its matches as custom calls `@fiar...`.

    device_ids: the ids of the devices that run it, in the order of its device assignment; needed
    where that is not 0, 1, 2, ... on the CPU. shard_residual: as fuse's.
    """
    return _rewrite(module_text, device_ids, shard_residual)[0]


def _rewrite(module_text, device_ids, shard_residual):
    shard = ["fiar-shard-residual"] if shard_residual else []
    text, found = _opt.rewrite(module_text, [*_FUSE, *shard, "fiar-lower-to-ffi"])
    if device_ids is not None and list(device_ids) != list(range(len(device_ids))):
        ids = ", ".join(str(i) for i in device_ids)
        text = text.replace("group_ids = array<i64", f"device_ids = array<i64: {ids}>, group_ids = array<i64")
    return text, found


def record(fn, *args, platform=None, **kwargs):
    """Puts the rewrite that a call of fuse(fn) with these arguments needs into FIAR_REWRITE_CACHE.

    For programs of machines without fiar-opt: they set FIAR_REWRITE_CACHE to a copy of the folder.
    fn: as fuse's, or what fuse returned. Arguments: arrays or ShapeDtypeStructs. platform: "cuda" or
    "cpu", the one that will run it; None: this machine's. The meshes have as many devices as there,
    of whichever platform, and jax is of the same version. Returns the Report.
    """
    if not os.environ.get("FIAR_REWRITE_CACHE"):
        raise ValueError("record() writes into the folder that FIAR_REWRITE_CACHE names, which is not set")
    fused = fn if isinstance(fn, FusedFunction) else fuse(fn)
    call = fused._bind(args, kwargs)
    exported = _lower(fused._jitted, call, platform and (platform,))[1]
    return _rewrite(exported.mlir_module(), None, fused._shard_residual)[1]


def report(fn, *args, **kwargs):
    """What `fuse(fn)` would do when called with these arguments (arrays or ShapeDtypeStructs)."""
    fn = fn._jitted if isinstance(fn, FusedFunction) else fn
    jitted = fn if hasattr(fn, "trace") else jax.jit(fn)
    text = jitted.trace(*args, **kwargs).lower().as_text(debug_info=True)
    return _opt.rewrite(text, _FUSE)[1]


def fuse(fn, *, shard_residual=False, **jit_options):
    """`fn` with its all-reduces fused: a callable with the same signature.

    fn: a function or a `jax.jit` of one. jit_options: those of `jax.jit`, for a plain function
    (static_argnums and static_argnames must be given here: of a `jax.jit` they cannot be asked).
    shard_residual: residuals that go from one fused call to the next stay sharded by tokens between
    them (docs/passes/fiar-shard-residual.md).
    Each combination of shapes, dtypes and static values is lowered, rewritten and compiled on its
    first call; where nothing matches, the original runs and a `NothingFused` warning says why.
    """
    if hasattr(fn, "trace"):
        if jit_options:
            raise TypeError(f"options {sorted(jit_options)} are for plain functions, but fn is a jax.jit already")
        return FusedFunction(fn, fn, shard_residual=shard_residual)
    return FusedFunction(fn, jax.jit(fn, **jit_options), jit_options, shard_residual)


class FusedFunction:
    """What `fuse` returns. Thread-safe, as `jax.jit`'s functions are."""

    def __init__(self, fn, jitted, jit_options=(), shard_residual=False):
        functools.update_wrapper(self, fn)
        self._jitted = jitted
        self._shard_residual = shard_residual
        self._static_nums, self._static_names = _statics(fn, dict(jit_options))
        self._variants = {}
        self._lock = threading.Lock()

    def __call__(self, *args, **kwargs):
        call = self._bind(args, kwargs)
        return self._variant(call)(call.leaves)

    def report(self, *args, **kwargs):
        """As fiar.jax.report."""
        return report(self, *args, **kwargs)

    def _bind(self, args, kwargs):
        """Splits a call into its arrays and what is static about it."""
        static = tuple((i, args[i]) for i in self._static_nums if i < len(args))
        static += tuple((n, kwargs[n]) for n in self._static_names if n in kwargs)
        dynamic = ([a for i, a in enumerate(args) if i not in self._static_nums],
                   {n: a for n, a in kwargs.items() if n not in self._static_names})
        leaves, tree = jax.tree.flatten(dynamic)
        return _Call(tuple(leaves), tree, static, len(args))

    def _variant(self, call):
        key = (call.tree, call.static, call.positional, _types(self._jitted, call.leaves))
        with self._lock:
            if key not in self._variants:
                self._variants[key] = _build(functools.partial(_call_original, self._jitted, call), self._jitted, call,
                                             self._shard_residual)
            return self._variants[key]


@dataclasses.dataclass(frozen=True)
class _Call:
    leaves: tuple
    tree: object  # of (dynamic positional arguments, dynamic keyword arguments)
    static: tuple  # (position or name, value)
    positional: int

    def arguments(self, leaves):
        """args and kwargs with these leaves in the places of the arrays, statics in theirs."""
        dynamic, kwargs = jax.tree.unflatten(self.tree, leaves)
        dynamic, static = iter(dynamic), dict(self.static)
        args = [static[i] if i in static else next(dynamic) for i in range(self.positional)]
        return args, {**kwargs, **{n: v for n, v in static.items() if isinstance(n, str)}}


def _call_original(jitted, call, *leaves):
    args, kwargs = call.arguments(leaves)
    return jitted(*args, **kwargs)


def _statics(fn, options):
    """Positions and names of the static arguments that jit options name, each in both forms."""
    nums, names = options.get("static_argnums", ()), options.get("static_argnames", ())
    nums = {nums} if isinstance(nums, int) else set(nums or ())
    names = {names} if isinstance(names, str) else set(names or ())
    parameters = list(inspect.signature(fn).parameters) if nums or names else []
    nums = {n % len(parameters) if n < 0 else n for n in nums}
    names |= {parameters[n] for n in nums if n < len(parameters)}
    nums |= {parameters.index(n) for n in names if n in parameters}
    return frozenset(nums), frozenset(names)


# ---- From a call's shapes to the compiled function -------------------------------------------------


def _name(jitted):
    return getattr(jitted, "__name__", "the function")


def _types(jitted, leaves):
    try:
        return tuple(jax.typeof(leaf) for leaf in leaves)
    except TypeError as error:
        raise TypeError(f"{_name(jitted)}: {error}; where it is a static argument, give fuse() the plain "
                        "function with static_argnums or static_argnames") from None


def _abstract(leaf):
    if isinstance(leaf, (bool, int, float, complex)):
        return leaf  # as jit takes it
    if isinstance(leaf, jax.ShapeDtypeStruct):
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, weak_type=leaf.weak_type)
    aval = jax.typeof(leaf)
    sharding = aval.sharding if _is_explicit(aval.sharding.mesh) else None
    return jax.ShapeDtypeStruct(aval.shape, aval.dtype, weak_type=aval.weak_type, sharding=sharding)


def _is_explicit(mesh):
    """Whether arrays on the mesh have its axes in their types."""
    return not mesh.empty and any(kind == AxisType.Explicit for kind in mesh.axis_types)


def _lower(jitted, call, platforms):
    """The traced call and its jax.export. platforms: None for this machine's."""
    args, kwargs = call.arguments([_abstract(leaf) for leaf in call.leaves])
    traced = jitted.trace(*args, **kwargs)
    if len(jax.tree.leaves(traced.args_info)) != len(call.leaves):
        raise TypeError(f"{_name(jitted)} has static arguments: give fuse() the plain function and static_argnums")
    return traced, _export(jitted, traced, args, kwargs, platforms)


def _build(original, jitted, call, shard_residual):
    """A function of the leaves that runs the rewritten module, or the original where nothing matched."""
    try:
        traced, exported = _lower(jitted, call, None)
    except NotImplementedError as error:  # host callbacks
        return _give_up(original, jitted, f"jax.export refuses it: {error}")
    mesh = _mesh_of(traced.jaxpr)
    text, found = _rewrite(exported.mlir_module(), mesh and [d.id for d in mesh.devices.flat], shard_residual)
    if found.fused == 0:
        return _give_up(original, jitted, found)
    register()
    module = dataclasses.replace(exported, mlir_module_serialized=text.encode())
    donate = tuple(i for i, info in enumerate(jax.tree.leaves(traced.args_info)) if info.donated)
    fused = jax.jit(_with_rules(_caller(module, mesh), original, shard_residual), donate_argnums=donate)
    return lambda leaves: fused(*leaves)


def _give_up(original, jitted, why):
    warnings.warn(f"fiar fused nothing in {_name(jitted)}: {why}", NothingFused, stacklevel=5)
    return lambda leaves: original(*leaves)


def _export(jitted, traced, args, kwargs, platforms):
    """jax.export with the function's own custom calls allowed: the module never leaves this process."""
    text = traced.lower(lowering_platforms=platforms).as_text()
    targets = set(re.findall(r"stablehlo\.custom_call @(?:\"([^\"]+)\"|([\w.$]+))", text))
    allowed = [jax.export.DisabledSafetyCheck.custom_call(quoted or plain) for quoted, plain in sorted(targets)]
    return jax.export.export(jitted, disabled_checks=allowed, platforms=platforms)(*args, **kwargs)


def _caller(module, mesh):
    """Calls the exported module. An unconstrained sharding ties it to the mesh's devices, where types do not."""

    def call(*leaves):
        if mesh is not None and leaves and not _is_explicit(mesh):
            free = PartitionSpec(*[PartitionSpec.UNCONSTRAINED] * len(jax.typeof(leaves[0]).shape))
            pinned = jax.lax.with_sharding_constraint(leaves[0], NamedSharding(mesh, free))
            leaves = (pinned, *leaves[1:])
        args, kwargs = jax.tree.unflatten(module.in_tree, leaves)
        return module.call(*args, **kwargs)

    return call


def _with_rules(call, original, shard_residual):
    """jax.export's calls have neither batching nor derivatives: both come from the original."""
    batched = {}
    call = jax.custom_batching.custom_vmap(call)

    @call.def_vmap
    def _vmap(axis_size, in_batched, *leaves):
        del axis_size
        axes = tuple(0 if yes else None for yes in in_batched)
        if axes not in batched:
            batched[axes] = fuse(jax.vmap(original, in_axes=axes), shard_residual=shard_residual)
        out = batched[axes](*leaves)
        return out, jax.tree.map(lambda _: True, out)

    call = jax.custom_jvp(call)
    call.defjvp(lambda primals, tangents: jax.jvp(original, primals, tangents))
    return call


def _mesh_of(jaxpr):
    """The mesh of the first shard_map below `jaxpr`, or None."""
    todo = collections.deque([jaxpr])
    while todo:
        item = todo.popleft()
        item = getattr(item, "jaxpr", item)  # a closed jaxpr
        for equation in getattr(item, "eqns", ()):
            for value in equation.params.values():
                if isinstance(value, Mesh) and not value.empty:
                    return value
                todo.extend(value if isinstance(value, (tuple, list)) else [value])
    return None
