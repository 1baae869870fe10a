// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The compiler passes, for hosts on the MLIR C API. Unstable until 1.0.
//
// Link libfiar_passes.so where the host shares libMLIR.so.22.1, else libfiar_passes.a, which leaves
// the MLIR C API undefined. Functions may be called from several threads on different contexts.
#ifndef FIAR_COMPILER_H
#define FIAR_COMPILER_H

#include <stdbool.h>
#include <stdint.h>

#include "fiar/status.h"
#include "mlir-c/IR.h"
#include "mlir-c/Pass.h"

#ifdef __cplusplus
extern "C" {
#endif

// Loads the fiar dialect (docs/dialect.md) into the context, so that its ops parse and verify.
// Loading twice is harmless. Failure: the dialect text that the library carries did not load, which
// only another dialect called "fiar" can cause.
FIAR_API MlirLogicalResult fiarLoadDialect(MlirContext context);

// The IRDL text of the dialect, for hosts that load it themselves. Static storage.
FIAR_API MlirStringRef fiarDialectText(void);

// Structs of options begin with struct_size. A struct of an older version has the later options at
// their defaults; one of a newer version is taken while what this library does not know of it is 0.
// Any other size is an error of the pass, told to the context's diagnostics.

// What a pass tells its host about an op.
typedef enum FiarMessageKind {
  FIAR_MESSAGE_REMARK,  // a sequence was rewritten
  FIAR_MESSAGE_MISSED,  // an all-reduce was left as it is; the text says why
  FIAR_MESSAGE_ERROR,   // the module contradicts itself or an option; the pass fails
} FiarMessageKind;

// Called from the pass, on its thread. The text is valid during the call.
typedef void (*FiarMessageCallback)(FiarMessageKind kind, MlirLocation location, MlirStringRef text,
                                    void* user_data);

typedef enum FiarReportMode { FIAR_REPORT_NONE, FIAR_REPORT_TEXT, FIAR_REPORT_JSON } FiarReportMode;

// Options of fiarFuse. Zero-initialise, set struct_size, then what is wanted.
typedef struct FiarFuseOptions {
  uint32_t struct_size;         // sizeof(FiarFuseOptions), as the caller was built
  FiarReportMode report;        // a table or JSON, one row an all-reduce
  FiarMessageCallback message;  // or NULL; errors then go to the context's diagnostics
  void* message_data;
  MlirStringCallback report_to;  // receives the report in pieces; NULL: standard error
  void* report_data;
  int64_t world;  // the ranks that every fused group must have; 0: as the module says
  // Of sums that are scattered by rows: take weights and scales to be the same on all ranks of a
  // group where the module does not prove it.
  bool assume_replicated;
} FiarFuseOptions;

// What fiarFuse did to a module.
typedef struct FiarFuseCounts {
  int64_t seen;     // all-reduces in the module
  int64_t fused;    // of these, rewritten to fiar.all_reduce_norm
  int64_t refused;  // of these, left; each has a reason in the report
} FiarFuseCounts;

// The pass fiar-fuse (docs/passes/fiar-fuse.md): rewrites every
//   all-reduce -> [residual add] -> RMSNorm -> [quantisation]
// below `module` (a builtin.module; other ops are an error) into one fiar.all_reduce_norm. The
// module's context must have the fiar dialect loaded. `options` and `out_counts` may be NULL.
// Failure: the module contradicts itself or an option (one FIAR_MESSAGE_ERROR says what and where);
// the module is then unchanged. A module without a match is no failure.
FIAR_API MlirLogicalResult fiarFuse(MlirOperation module, const FiarFuseOptions* options,
                                    FiarFuseCounts* out_counts);

// The pass fiar-inline (docs/passes/fiar-inline.md), before fiarFuse: private functions that return
// a sum which fiarFuse leaves go into their callers, where its norm may be. `world` as in
// FiarFuseOptions. Never fails; a module that fiarFuse refuses stays as it is.
FIAR_API MlirLogicalResult fiarInline(MlirOperation module, int64_t world);

// The pass fiar-rotate-loops (docs/passes/fiar-rotate-loops.md), before fiarFuse and behind
// fiarInline: where a loop's body begins with the norm of what it ends with, the loop carries the
// norm, if more all-reduces fuse then. `world` as in FiarFuseOptions. Never fails; a module that
// fiarFuse refuses stays as it is.
FIAR_API MlirLogicalResult fiarRotateLoops(MlirOperation module, int64_t world);

// Options of fiarRaiseBlock. Zero-initialise, set struct_size, then what is wanted.
typedef struct FiarRaiseOptions {
  uint32_t struct_size;         // sizeof(FiarRaiseOptions), as the caller was built
  FiarReportMode report;        // a table or JSON, one row an op that was left
  FiarMessageCallback message;  // or NULL
  void* message_data;
  MlirStringCallback report_to;  // receives the report in pieces; NULL: standard error
  void* report_data;
  // Norms and quantisers that no all-reduce precedes stay two ops: a program of separate kernels.
  bool separate;
} FiarRaiseOptions;

// What fiarRaiseBlock left behind.
typedef struct FiarRaiseCounts {
  int64_t fiar_ops;  // in the public functions' bodies
  int64_t left;      // ops there that no fiar op computes; each has a reason in the report
} FiarRaiseCounts;

// The pass fiar-raise-block (docs/passes/fiar-raise-block.md), after fiarFuse: the matrix products,
// norms, quantisers, silu(gate) * up, all-reduces and conversions of the public functions of
// `module` (a builtin.module) become fiar ops, and calls of functions without effects what they
// call. `options` and `out_counts` may be NULL. Failure: out of memory, or another op than a
// module.
FIAR_API MlirLogicalResult fiarRaiseBlock(MlirOperation module, const FiarRaiseOptions* options,
                                          FiarRaiseCounts* out_counts);

// Options of fiarLowerToBlock. Zero-initialise, set struct_size, then what is wanted.
typedef struct FiarBlockOptions {
  uint32_t struct_size;  // sizeof(FiarBlockOptions), as the caller was built
  // The C function; NULL: the module's function, or where that is `main` the module.
  const char* name;
  // The first dimension of the rows becomes a parameter, `tokens`, of up to this; 0: as in the
  // module.
  int64_t max_tokens;
  bool separate;  // two products of one operand stay two
} FiarBlockOptions;

// The pass fiar-lower-to-block (docs/passes/fiar-lower-to-block.md), after fiarRaiseBlock: the only
// public function of `module` (a builtin.module) becomes a function in the LLVM dialect that C
// calls and that does nothing but call the runtime, its memory planned. The context must have
// loaded the dialect llvm. `options` may be NULL. Failure: ops that no call of the runtime
// computes, each reported at its location; the module is then unchanged.
FIAR_API MlirLogicalResult fiarLowerToBlock(MlirOperation module, const FiarBlockOptions* options);

// Options of fiarShardResidual. Zero-initialise, set struct_size, then what is wanted.
typedef struct FiarShardOptions {
  uint32_t struct_size;         // sizeof(FiarShardOptions), as the caller was built
  FiarReportMode report;        // a table or JSON, one row a fused call
  FiarMessageCallback message;  // or NULL
  void* message_data;
  MlirStringCallback report_to;  // receives the report in pieces; NULL: standard error
  void* report_data;
  int64_t min_tokens;  // calls with fewer rows stay whole
  // Residuals, weights and scales are the same on all ranks of a group: the caller's word for what
  // the module does not prove.
  bool assume_replicated;
} FiarShardOptions;

// What fiarShardResidual did to a module.
typedef struct FiarShardCounts {
  int64_t seen;            // fiar.all_reduce_norm ops in the module
  int64_t sharded, left;   // by this run; each that was left has a reason in the report
  int64_t takes, gathers;  // fiar.take_rows and fiar.all_gather_rows put in
} FiarShardCounts;

// The pass fiar-shard-residual (docs/passes/fiar-shard-residual.md), after fiarFuse: where
// residuals go from one fiar.all_reduce_norm below `module` (a builtin.module) to the next, each
// rank keeps only the rows that it owns. `options` and `out_counts` may be NULL. Failure: out of
// memory, or another op than a module; the module is then unchanged.
FIAR_API MlirLogicalResult fiarShardResidual(MlirOperation module, const FiarShardOptions* options,
                                             FiarShardCounts* out_counts);

// Options of fiarCheck. Zero-initialise, then set at least struct_size, rewrite and seeds.
typedef struct FiarCheckOptions {
  uint32_t struct_size;  // sizeof(FiarCheckOptions), as the caller was built
  // The rewrite under test, called on a clone of the module.
  MlirLogicalResult (*rewrite)(MlirOperation clone, void* rewrite_data);
  void* rewrite_data;
  int64_t seeds, first_seed;    // how many random data sets, and the first one's number
  FiarMessageCallback message;  // or NULL; differences then go to the context's diagnostics
  void* message_data;
  int64_t world;  // the ranks of groups that the module only names; 0: not known
  // Matrix products are computed, for rewrites that change them; else they are uninterpreted. A
  // module without collectives is then run on one rank.
  bool products;
} FiarCheckOptions;

// The pass fiar-check (docs/passes/fiar-check.md): does the rewrite keep what the module computes?
// Runs the module and its rewritten clone on as many simulated ranks as the collectives name, over
// integer, random and edge-case data, and compares everything that reaches an op outside the
// rewritten regions, bit for bit where docs/numerics.md says so. The module is left as it was.
// Failure: a difference, the first of which is reported at the op that sees it, or a module that
// cannot be run.
FIAR_API MlirLogicalResult fiarCheck(MlirOperation module, const FiarCheckOptions* options);

// The pass fiar-lower-to-runtime (docs/passes/fiar-lower-to-runtime.md): fiar ops become calls of
// the runtime's functions (fiar/abi.h), and every public function gets an entry that C can call.
// The ops of `module` (a builtin.module) work on tensors; bufferisation comes after. The context
// must have loaded the dialects arith, bufferization, func, linalg, llvm, memref, scf and tensor.
// Failure: an op that the runtime cannot serve, reported at its location; the module is then half
// rewritten.
FIAR_API MlirLogicalResult fiarLowerToRuntime(MlirOperation module);

// The pass fiar-lower-to-ffi (docs/passes/fiar-lower-to-ffi.md): fiar ops become the
// stablehlo.custom_calls that fiar/xla.h describes. Failure: an op that is malformed or whose
// groups cannot be expanded, reported at its location; the module is then half rewritten.
FIAR_API MlirLogicalResult fiarLowerToFfi(MlirOperation module);

// The pass fiar-torch-to-builtin (docs/passes/fiar-torch-to-builtin.md): fiar ops on torch's
// tensors become fiar ops on builtin tensors, between casts of torch-mlir's torch_c dialect (which
// need not be loaded: the context must allow unregistered ops). Failure: a tensor whose rank or
// element type is not known, reported at the op; the module is then half rewritten.
FIAR_API MlirLogicalResult fiarTorchToBuiltin(MlirOperation module);

// Appends the pipeline fiar-to-llvm to a module's pass manager: fiarLowerToRuntime, then
// bufferisation and conversion to the LLVM dialect for the CPU. Registers MLIR's own passes on
// first use. Failure: this MLIR lacks one of them.
FIAR_API MlirLogicalResult fiarAddToLlvmPipeline(MlirPassManager manager);

#ifdef __cplusplus
}
#endif
#endif  // FIAR_COMPILER_H
