// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The C entry points of a compiled model.
//
//   func.func @block(%x: tensor<?x64xbf16>) -> tensor<?x64xbf16>
//
// becomes private (as @block.tensors), and the name goes to the function that C calls:
//
//   int32_t block(const void* x, int64_t x_rows, void* result);     // a fiar_status_t
//
// A tensor is a pointer to contiguous elements, followed by an int64_t for each dynamic dimension;
// the results come last, in memory of the caller's. The entry checks the interface version and the
// size of each communicator, runs, and returns the first failing call's status. Arguments are only
// read: the buffers are wrapped without `writable`, so bufferisation copies what it would write.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lower/lower.h"
#include "mlir-c/BuiltinAttributes.h"
#include "mlir-c/BuiltinTypes.h"
#include "mlir-c/Dialect/LLVM.h"

// ---- The function as it was ----------

static bool is_tensor(MlirType type) {
  if (!mlirTypeIsARankedTensor(type) ||
      !mlirAttributeIsNull(mlirRankedTensorTypeGetEncoding(type))) {
    return false;
  }
  MlirType element = mlirShapedTypeGetElementType(type);
  return mlirTypeIsAInteger(element) || mlirTypeIsAIndex(element) || mlirTypeIsAFloat(element) ||
         mlirTypeIsAComplex(element);
}

static bool is_scalar(MlirType type) {
  return mlirTypeIsAInteger(type) || mlirTypeIsAIndex(type) || mlirTypeIsAF32(type) ||
         mlirTypeIsAF64(type);
}

static bool check_types(MlirOperation function, const char* what, intptr_t count,
                        MlirType (*get)(MlirType, intptr_t), MlirType type) {
  for (intptr_t i = 0; i < count; ++i) {
    if (!is_tensor(get(type, i)) && !is_scalar(get(type, i))) {
      return fiarErrorAt(
          function,
          "%s %d is neither a ranked tensor nor an integer, index, f32 or f64: a public "
          "function needs these to be called from C; make it private where it is internal",
          what, (int)i);
    }
  }
  return true;
}

// ---- The text of the entry ----------

static void print_scalar_type(FILE* out, MlirType type) {
  if (mlirTypeIsAIndex(type)) {
    fprintf(out, "i64");
  } else {
    fiarPrintType(out, type);
  }
}

static void print_parameters(FILE* out, const char* prefix, const char** comma, MlirType type,
                             intptr_t at, bool is_result) {
  bool pointer = is_result || is_tensor(type);
  fprintf(out, "%s%%%s%d: ", *comma, prefix, (int)at);
  *comma = ", ";
  if (pointer) {
    fprintf(out, "!llvm.ptr");
  } else {
    print_scalar_type(out, type);
  }
  for (int64_t i = 0; !is_result && is_tensor(type) && i < mlirShapedTypeGetRank(type); ++i) {
    if (mlirShapedTypeIsDynamicDim(type, i)) {
      fprintf(out, ", %%%s%d_d%" PRId64 ": i64", prefix, (int)at, i);
    }
  }
}

// Product of the dimensions after i, or -1 where one is dynamic.
static int64_t static_stride(MlirType tensor, int64_t i) {
  int64_t stride = 1;
  for (int64_t j = i + 1; j < mlirShapedTypeGetRank(tensor); ++j) {
    if (mlirShapedTypeIsDynamicDim(tensor, j)) {
      return -1;
    }
    stride *= mlirShapedTypeGetDimSize(tensor, j);
  }
  return stride;
}

// %NAME_strideI for each dimension, from the sizes %NAME_nI.
static void print_dynamic_strides(FILE* out, const char* name, MlirType tensor) {
  int last = (int)mlirShapedTypeGetRank(tensor) - 1;
  fprintf(out, "    %%%s_stride%d = arith.constant 1 : index\n", name, last);
  for (int i = last - 1; i >= 0; --i) {
    if (!mlirShapedTypeIsDynamicDim(tensor, i + 1)) {
      fprintf(out, "    %%%s_n%d = arith.constant %" PRId64 " : index\n", name, i + 1,
              mlirShapedTypeGetDimSize(tensor, i + 1));
    }
    fprintf(out, "    %%%s_stride%d = arith.muli %%%s_stride%d, %%%s_n%d : index\n", name, i, name,
            i + 1, name, i + 1);
  }
}

// The number where it is known, else the value %NAME_KINDi.
static void print_size(FILE* out, int64_t known, const char* name, const char* kind, int i) {
  fprintf(out, "%s", i > 0 ? ", " : "");
  if (known < 0) {
    fprintf(out, "%%%s_%s%d", name, kind, i);
  } else {
    fprintf(out, "%" PRId64, known);
  }
}

// %NAME_buffer: the memory at %NAME as a contiguous memref. Dynamic sizes are %NAME_nI.
static void print_wrap(FILE* out, const char* name, MlirType tensor) {
  // A descriptor without shape, which is what MLIR makes of memref<T>; the shape comes by a cast.
  static const char descriptor[] = "!llvm.struct<(ptr, ptr, i64)>";
  fprintf(out, "    %%%s_0 = llvm.mlir.poison : %s\n", name, descriptor);
  for (int i = 0; i < 3; ++i) {
    const char* value = i < 2 ? name : "no_offset";  // allocated pointer, aligned pointer, offset
    fprintf(out, "    %%%s_%d = llvm.insertvalue %%%s, %%%s_%d[%d] : %s\n", name, i + 1, value,
            name, i, i, descriptor);
  }
  fprintf(out, "    %%%s_base = builtin.unrealized_conversion_cast %%%s_3 : %s to memref<", name,
          name, descriptor);
  fiarPrintType(out, mlirShapedTypeGetElementType(tensor));
  fprintf(out, ">\n");
  if (!mlirShapedTypeHasStaticShape(tensor)) {
    print_dynamic_strides(out, name, tensor);
  }
  int rank = (int)mlirShapedTypeGetRank(tensor);
  fprintf(out, "    %%%s_buffer = memref.reinterpret_cast %%%s_base to offset: [0], sizes: [", name,
          name);
  for (int i = 0; i < rank; ++i) {
    bool dynamic = mlirShapedTypeIsDynamicDim(tensor, i);
    print_size(out, dynamic ? -1 : mlirShapedTypeGetDimSize(tensor, i), name, "n", i);
  }
  fprintf(out, "], strides: [");
  for (int i = 0; i < rank; ++i) {
    print_size(out, static_stride(tensor, i), name, "stride", i);
  }
  fprintf(out, "] : memref<");
  fiarPrintType(out, mlirShapedTypeGetElementType(tensor));
  fprintf(out, "> to ");
  fiarPrintBuffer(out, tensor, false);
  fprintf(out, "\n");
}

static void print_argument(FILE* out, int at, MlirType type) {
  char name[32];
  (void)snprintf(name, sizeof name, "arg%d", at);
  if (mlirTypeIsAIndex(type)) {
    fprintf(out, "    %%%s_in = arith.index_cast %%%s : i64 to index\n", name, name);
  }
  if (!is_tensor(type)) {
    return;
  }
  for (int i = 0; i < (int)mlirShapedTypeGetRank(type); ++i) {
    if (mlirShapedTypeIsDynamicDim(type, i)) {
      fprintf(out, "    %%%s_n%d = arith.index_cast %%%s_d%d : i64 to index\n", name, i, name, i);
    }
  }
  print_wrap(out, name, type);
  fprintf(out, "    %%%s_in = bufferization.to_tensor %%%s_buffer restrict : ", name, name);
  fiarPrintBuffer(out, type, false);
  fprintf(out, " to ");
  fiarPrintType(out, type);
  fprintf(out, "\n");
}

static void print_scalar_result(FILE* out, int at, MlirType type) {
  if (mlirTypeIsAIndex(type)) {
    fprintf(out,
            "    %%result%d_out = arith.index_cast %%out#%d : index to i64\n"
            "    llvm.store %%result%d_out, %%result%d : i64, !llvm.ptr\n",
            at, at, at, at);
  } else {
    fprintf(out, "    llvm.store %%out#%d, %%result%d : ", at, at);
    fiarPrintType(out, type);
    fprintf(out, ", !llvm.ptr\n");
  }
}

static void print_result(FILE* out, int at, MlirType type) {
  char name[32];
  (void)snprintf(name, sizeof name, "result%d", at);
  if (!is_tensor(type)) {
    print_scalar_result(out, at, type);
    return;
  }
  for (int i = 0; i < (int)mlirShapedTypeGetRank(type); ++i) {
    if (mlirShapedTypeIsDynamicDim(type, i)) {
      fprintf(out, "    %%%s_i%d = arith.constant %d : index\n", name, i, i);
      fprintf(out, "    %%%s_n%d = tensor.dim %%out#%d, %%%s_i%d : ", name, i, at, name, i);
      fiarPrintType(out, type);
      fprintf(out, "\n");
    }
  }
  print_wrap(out, name, type);
  fprintf(
      out,
      "    bufferization.materialize_in_destination %%out#%d in restrict writable %%%s_buffer : (",
      at, name);
  fiarPrintType(out, type);
  fprintf(out, ", ");
  fiarPrintBuffer(out, type, false);
  fprintf(out, ") -> ()\n");
}

static void print_inner_call(FILE* out, const char* name, MlirType type) {
  intptr_t inputs = mlirFunctionTypeGetNumInputs(type),
           results = mlirFunctionTypeGetNumResults(type);
  fprintf(out, "    ");
  if (results > 0) {
    fprintf(out, "%%out:%d = ", (int)results);
  }
  fprintf(out, "func.call @\"%s.tensors\"(", name);
  for (intptr_t i = 0; i < inputs; ++i) {
    MlirType input = mlirFunctionTypeGetInput(type, i);
    bool converted = is_tensor(input) || mlirTypeIsAIndex(input);
    fprintf(out, "%s%%arg%d%s", i > 0 ? ", " : "", (int)i, converted ? "_in" : "");
  }
  fprintf(out, ") : ");
  fiarPrintType(out, type);
  fprintf(out, "\n");
}

static void print_entry(FILE* out, const char* name, MlirType type) {
  intptr_t inputs = mlirFunctionTypeGetNumInputs(type),
           results = mlirFunctionTypeGetNumResults(type);
  const char* comma = "";
  fprintf(out, "func.func private @\"%s.tensors\"", name);
  fiarPrintType(out, type);
  fprintf(out, "\nfunc.func @\"%s\"(", name);
  for (intptr_t i = 0; i < inputs; ++i) {
    print_parameters(out, "arg", &comma, mlirFunctionTypeGetInput(type, i), i, false);
  }
  for (intptr_t i = 0; i < results; ++i) {
    print_parameters(out, "result", &comma, mlirFunctionTypeGetResult(type, i), i, true);
  }
  fprintf(out,
          ") -> i32 {\n"
          "  %%go = func.call @fiar.start() : () -> i1\n"
          "  scf.if %%go {\n"
          "    %%no_offset = arith.constant 0 : i64\n");
  for (intptr_t i = 0; i < inputs; ++i) {
    print_argument(out, (int)i, mlirFunctionTypeGetInput(type, i));
  }
  print_inner_call(out, name, type);
  for (intptr_t i = 0; i < results; ++i) {
    print_result(out, (int)i, mlirFunctionTypeGetResult(type, i));
  }
  fprintf(out,
          "  }\n"
          "  %%status = llvm.mlir.addressof @fiar.status : !llvm.ptr\n"
          "  %%final = llvm.load %%status : !llvm.ptr -> i32\n"
          "  return %%final : i32\n"
          "}\n");
}

// @fiar.start: sets the status from the checks of version and communicators; whether all is well.
static void print_start(FILE* out, const FiarComms* comms) {
  fprintf(out,
          "func.func private @fiar.start() -> i1 {\n"
          "  %%status = llvm.mlir.addressof @fiar.status : !llvm.ptr\n"
          "  %%null = llvm.mlir.zero : !llvm.ptr\n"
          "  %%ok = arith.constant %d : i32\n"
          "  %%version = arith.constant %d : i32\n"
          "  %%abi = llvm.call @fiar_rt_check_abi(%%version) : (i32) -> i32\n"
          "  llvm.store %%abi, %%status : i32, !llvm.ptr\n"
          "  %%go0 = arith.cmpi eq, %%abi, %%ok : i32\n",
          FIAR_OK, FIAR_ABI_VERSION);
  for (size_t i = 0; i < comms->count; ++i) {
    fprintf(
        out,
        "  %%go%zu = scf.if %%go%zu -> (i1) {\n"
        "    %%group = arith.constant %zu : i32\n"
        "    %%world = arith.constant %" PRId64
        " : i64\n"
        "    %%checked = llvm.call @fiar_rt_check_world(%%null, %%group, %%world) : (!llvm.ptr, i32, i64) "
        "-> i32\n"
        "    llvm.store %%checked, %%status : i32, !llvm.ptr\n"
        "    %%good = arith.cmpi eq, %%checked, %%ok : i32\n"
        "    scf.yield %%good : i1\n"
        "  } else {\n"
        "    scf.yield %%go%zu : i1\n"
        "  }\n",
        i + 1, i, i, comms->items[i].world, i);
  }
  fprintf(out, "  return %%go%zu : i1\n}\n", comms->count);
}

// ---- The rewrite ----------

// Renames the function to NAME.tensors, with its uses, and writes the entry.
static bool write_entry(FILE* out, MlirOperation module, MlirOperation function) {
  MlirContext context = mlirOperationGetContext(module);
  MlirType type = mlirTypeAttrGetValue(fiarOpAttribute(function, "function_type"));
  MlirStringRef name = mlirStringAttrGetValue(fiarOpAttribute(function, "sym_name"));
  if (!check_types(function, "argument", mlirFunctionTypeGetNumInputs(type),
                   mlirFunctionTypeGetInput, type) ||
      !check_types(function, "result", mlirFunctionTypeGetNumResults(type),
                   mlirFunctionTypeGetResult, type)) {
    return false;
  }
  char before[256], inner[256 + sizeof ".tensors"];
  if (name.length >= sizeof before) {
    return fiarErrorAt(function, "the function's name is longer than %zu characters",
                       sizeof before - 1);
  }
  for (size_t i = 0; i < name.length; ++i) {
    if (name.data[i] < ' ' || name.data[i] > '~' || strchr("\"\\", name.data[i]) != NULL) {
      return fiarErrorAt(function,
                         "the function's name has a character that no symbol for C can have");
    }
  }
  (void)snprintf(before, sizeof before, "%.*s", (int)name.length, name.data);
  (void)snprintf(inner, sizeof inner, "%s.tensors", before);
  if (mlirLogicalResultIsFailure(
          mlirSymbolTableReplaceAllSymbolUses(fiarString(before), fiarString(inner), module))) {
    return fiarErrorAt(function, "the uses of this symbol cannot be renamed");
  }
  mlirOperationSetAttributeByName(function, fiarString("sym_name"),
                                  mlirStringAttrGet(context, fiarString(inner)));
  mlirOperationSetAttributeByName(function, fiarString("sym_visibility"),
                                  mlirStringAttrGet(context, fiarString("private")));
  print_entry(out, before, type);
  return true;
}

static bool is_entry(MlirOperation op) {
  if (!fiarIsNamed(op, "func.func") ||
      mlirBlockIsNull(mlirRegionGetFirstBlock(mlirOperationGetRegion(op, 0)))) {
    return false;
  }
  MlirAttribute visibility = fiarOpAttribute(op, "sym_visibility");
  return mlirAttributeIsNull(visibility) ||
         mlirStringRefEqual(mlirStringAttrGetValue(visibility), fiarString("public"));
}

bool fiarPrintEntries(FILE* out, MlirOperation module, const FiarComms* comms) {
  print_start(out, comms);
  MlirBlock body = mlirRegionGetFirstBlock(mlirOperationGetRegion(module, 0));
  for (MlirOperation op = mlirBlockGetFirstOperation(body); !mlirOperationIsNull(op);
       op = mlirOperationGetNextInBlock(op)) {
    if (is_entry(op) && !write_entry(out, module, op)) {
      return false;
    }
  }
  return true;
}

// ---- After conversion ----------

MlirLogicalResult fiarInternalize(MlirOperation module) {
  MlirContext context = mlirOperationGetContext(module);
  MlirAttribute internal = mlirLLVMLinkageAttrGet(context, MlirLLVMLinkageInternal);
  MlirBlock body = mlirRegionGetFirstBlock(mlirOperationGetRegion(module, 0));
  for (MlirOperation op = mlirBlockGetFirstOperation(body); !mlirOperationIsNull(op);
       op = mlirOperationGetNextInBlock(op)) {
    MlirAttribute visibility = fiarOpAttribute(op, "sym_visibility");
    if (fiarIsNamed(op, "llvm.func") && !mlirAttributeIsNull(visibility) &&
        mlirStringRefEqual(mlirStringAttrGetValue(visibility), fiarString("private")) &&
        !mlirBlockIsNull(mlirRegionGetFirstBlock(mlirOperationGetRegion(op, 0)))) {
      mlirOperationSetAttributeByName(op, fiarString("linkage"), internal);
    }
  }
  return mlirLogicalResultSuccess();
}
