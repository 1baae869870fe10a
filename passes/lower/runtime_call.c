// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Fused ops to calls of the runtime, before bufferisation (which does not know them).
//
//   %n = "fiar.all_reduce_norm"(%x, %w) ...    ->    %n = call @fiar.call.0(%x, %w)
//
// @fiar.call.0 is a function over tensors: it takes its operands as buffers, allocates the results,
// fills a fiar_all_reduce_norm_params and calls fiar_rt_all_reduce_norm. The struct's bytes come
// from this compiler's own fiar_all_reduce_norm_params, pointers are stored at offsetof: the two
// sides cannot drift. Equal ops share a function. A call that fails leaves its status in
// @fiar.status, and the calls after it do nothing; entry.c returns it.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ir/match.h"
#include "lower/lower.h"
#include "mlir-c/BuiltinAttributes.h"
#include "mlir-c/BuiltinTypes.h"

// Whether the IR's tensor holds one fp4 code an element: a byte each in memory, where the runtime
// packs two.
static bool unpacks(const FiarCall* call, int result) {
  if (call->kind != FIAR_CALL_ALL_REDUCE_NORM || result != FIAR_OUT_QUANT) {
    return false;
  }
  MlirType element = mlirShapedTypeGetElementType(mlirValueGetType(call->results[result]));
  return mlirTypeIsAFloat(element) && mlirFloatTypeGetWidth(element) == 4;
}

static void print_signature(FILE* out, const FiarCall* call) {
  const char* comma = "";
  fprintf(out, "(");
  for (int i = 0; i < FIAR_IN_COUNT; ++i) {
    if (!mlirValueIsNull(call->operands[i])) {
      fprintf(out, "%s%%%s: ", comma, fiar_operand_slots[i].name);
      fiarPrintType(out, mlirValueGetType(call->operands[i]));
      comma = ", ";
    }
  }
  comma = "";
  fprintf(out, ") -> (");
  for (int i = 0; i < FIAR_OUT_COUNT; ++i) {
    if (!mlirValueIsNull(call->results[i])) {
      fprintf(out, "%s", comma);
      fiarPrintType(out, mlirValueGetType(call->results[i]));
      comma = ", ";
    }
  }
  fprintf(out, ") attributes {no_inline} {\n");
}

static void print_pointer(FILE* out, const char* name, const char* buffer, MlirType tensor,
                          bool packed) {
  fprintf(out, "  %%%s_at = memref.extract_aligned_pointer_as_index %%%s : ", name, buffer);
  fiarPrintBuffer(out, tensor, packed);
  fprintf(out,
          " -> index\n"
          "  %%%s_address = arith.index_cast %%%s_at : index to i64\n"
          "  %%%s_pointer = llvm.inttoptr %%%s_address : i64 to !llvm.ptr\n",
          name, name, name, name);
}

static void print_operand(FILE* out, const char* name, MlirType tensor) {
  char pointer[32];
  (void)snprintf(pointer, sizeof pointer, "in_%s", name);
  fprintf(out, "  %%%s_buffer = bufferization.to_buffer %%%s read_only : ", name, name);
  fiarPrintType(out, tensor);
  fprintf(out, " to ");
  fiarPrintBuffer(out, tensor, false);
  fprintf(out, "\n");
  char buffer[32];
  (void)snprintf(buffer, sizeof buffer, "%s_buffer", name);
  print_pointer(out, pointer, buffer, tensor, false);
}

// %dI: x's dimensions. %tokens, %hidden: their product but for the last, and the last.
static void print_dimensions(FILE* out, MlirType x) {
  int64_t rank = mlirShapedTypeGetRank(x);
  fprintf(out, "  %%rows0 = arith.constant 1 : index\n");
  for (int64_t i = 0; i < rank; ++i) {
    if (mlirShapedTypeIsDynamicDim(x, i)) {
      fprintf(out, "  %%i%" PRId64 " = arith.constant %" PRId64 " : index\n", i, i);
      fprintf(out, "  %%d%" PRId64 " = memref.dim %%x_buffer, %%i%" PRId64 " : ", i, i);
      fiarPrintBuffer(out, x, false);
      fprintf(out, "\n");
    } else {
      fprintf(out, "  %%d%" PRId64 " = arith.constant %" PRId64 " : index\n", i,
              mlirShapedTypeGetDimSize(x, i));
    }
    if (i < rank - 1) {
      fprintf(out, "  %%rows%" PRId64 " = arith.muli %%rows%" PRId64 ", %%d%" PRId64 " : index\n",
              i + 1, i, i);
    }
  }
  fprintf(out, "  %%tokens = arith.index_cast %%rows%" PRId64 " : index to i64\n",
          rank > 0 ? rank - 1 : 0);
  if (rank > 0) {
    fprintf(out, "  %%hidden = arith.index_cast %%d%" PRId64 " : index to i64\n", rank - 1);
  } else {
    fprintf(out, "  %%hidden = arith.constant 1 : i64\n");
  }
}

// A result's dynamic dimensions are x's: fiarCallParams has checked that.
static void print_allocation(FILE* out, const char* name, MlirType tensor, bool packed) {
  const char* comma = "";
  fprintf(out, "  %%%s = memref.alloc(", name);
  for (int64_t i = 0; i < mlirShapedTypeGetRank(tensor); ++i) {
    if (mlirShapedTypeIsDynamicDim(tensor, i)) {
      fprintf(out, "%s%%d%" PRId64, comma, i);
      comma = ", ";
    }
  }
  fprintf(out, ") : ");
  fiarPrintBuffer(out, tensor, packed);
  fprintf(out, "\n");
}

static void print_result(FILE* out, const char* name, MlirType tensor, bool packed) {
  char pointer[32], buffer[32];
  (void)snprintf(pointer, sizeof pointer, "out_%s", name);
  (void)snprintf(buffer, sizeof buffer, "%s_out", name);
  print_allocation(out, buffer, tensor, false);
  if (packed) {
    (void)snprintf(buffer, sizeof buffer, "%s_packed", name);
    print_allocation(out, buffer, tensor, true);
  }
  print_pointer(out, pointer, buffer, tensor, packed);
}

// Packed codes to one an element, low nibble first.
static void print_unpacking(FILE* out, const char* name, MlirType tensor) {
  int64_t rank = mlirShapedTypeGetRank(tensor);
  fprintf(out, "  linalg.generic {indexing_maps = [affine_map<(");
  for (int pass = 0; pass < 4; ++pass) {
    static const char* const between[] = {") -> (", ")>, affine_map<(", ") -> (",
                                          ")>], iterator_types = ["};
    for (int64_t i = 0; i < rank; ++i) {
      const char* half = pass == 1 && i == rank - 1 ? " floordiv 2" : "";
      fprintf(out, "%sd%" PRId64 "%s", i > 0 ? ", " : "", i, half);
    }
    fprintf(out, "%s", between[pass]);
  }
  for (int64_t i = 0; i < rank; ++i) {
    fprintf(out, "%s\"parallel\"", i > 0 ? ", " : "");
  }
  fprintf(out, "]} ins(%%%s_packed : ", name);
  fiarPrintBuffer(out, tensor, true);
  fprintf(out, ") outs(%%%s_out : ", name);
  fiarPrintBuffer(out, tensor, false);
  fprintf(out, ") {\n  ^bb0(%%byte: i8, %%old: ");
  fiarPrintType(out, mlirShapedTypeGetElementType(tensor));
  fprintf(out,
          "):\n"
          "    %%column = linalg.index %" PRId64
          " : index\n"
          "    %%column_i8 = arith.index_cast %%column : index to i8\n"
          "    %%one = arith.constant 1 : i8\n"
          "    %%two = arith.constant 2 : i8\n"
          "    %%odd = arith.andi %%column_i8, %%one : i8\n"
          "    %%shift = arith.shli %%odd, %%two : i8\n"
          "    %%shifted = arith.shrui %%byte, %%shift : i8\n"
          "    %%code = arith.trunci %%shifted : i8 to i4\n"
          "    %%element = arith.bitcast %%code : i4 to ",
          rank - 1);
  fiarPrintType(out, mlirShapedTypeGetElementType(tensor));
  fprintf(out, "\n    linalg.yield %%element : ");
  fiarPrintType(out, mlirShapedTypeGetElementType(tensor));
  fprintf(out, "\n  }\n");
}

static void print_store(FILE* out, const char* value, const char* type, size_t offset) {
  fprintf(out,
          "    %%at%zu = llvm.getelementptr %%params[%zu] : (!llvm.ptr) -> !llvm.ptr, i8\n"
          "    llvm.store %s, %%at%zu : %s, !llvm.ptr\n",
          offset, offset, value, offset, type);
}

// A struct that the bytes of @fiar.params.N and the call's pointers make up.
static void print_norm_call(FILE* out, const FiarCall* call,
                            const fiar_all_reduce_norm_params* params) {
  const unsigned char* bytes = (const unsigned char*)params;
  fprintf(out, "    %%length = arith.constant 1 : i64\n    %%params = llvm.alloca %%length x ");
  fprintf(out, "!llvm.array<%zu x i64> : (i64) -> !llvm.ptr\n", sizeof *params / sizeof(uint64_t));
  for (size_t i = 0; i < sizeof *params; i += sizeof(uint64_t)) {
    uint64_t word;
    memcpy(&word, bytes + i, sizeof word);
    fprintf(out,
            "    %%word%zu = arith.constant %" PRId64
            " : i64\n"
            "    %%at_word%zu = llvm.getelementptr %%params[%zu] : (!llvm.ptr) -> !llvm.ptr, i8\n"
            "    llvm.store %%word%zu, %%at_word%zu : i64, !llvm.ptr\n",
            i, (int64_t)word, i, i, i, i);
  }
  char value[48];
  for (int i = 0; i < FIAR_IN_COUNT; ++i) {
    if (!mlirValueIsNull(call->operands[i])) {
      (void)snprintf(value, sizeof value, "%%in_%s_pointer", fiar_operand_slots[i].name);
      print_store(out, value, "!llvm.ptr", fiar_operand_slots[i].offset);
    }
  }
  for (int i = 0; i < FIAR_OUT_COUNT; ++i) {
    if (!mlirValueIsNull(call->results[i])) {
      (void)snprintf(value, sizeof value, "%%out_%s_pointer", fiar_result_slots[i].name);
      print_store(out, value, "!llvm.ptr", fiar_result_slots[i].offset);
    }
  }
  print_store(out, "%tokens", "i64", offsetof(fiar_all_reduce_norm_params, tokens));
  print_store(out, "%hidden", "i64", offsetof(fiar_all_reduce_norm_params, hidden));
  fprintf(out,
          "    %%after = llvm.call @fiar_rt_all_reduce_norm(%%null, %%params, %%null) : "
          "(!llvm.ptr, !llvm.ptr, !llvm.ptr) -> i32\n");
}

// fiar_rt_all_reduce, fiar_rt_all_gather_rows and fiar_rt_take_rows have one signature.
static void print_plain_call(FILE* out, const char* function,
                             const fiar_all_reduce_norm_params* params) {
  fprintf(
      out,
      "    %%group = arith.constant %d : i32\n"
      "    %%dtype = arith.constant %d : i8\n"
      "    %%after = llvm.call @%s(%%null, %%group, %%in_x_pointer, %%out_sum_pointer, %%tokens, "
      "%%hidden, %%dtype, %%null) : (!llvm.ptr, i32, !llvm.ptr, !llvm.ptr, i64, i64, i8, !llvm.ptr) "
      "-> i32\n",
      params->group, params->dtype, function);
}

static void print_call(FILE* out, const FiarCall* call, const fiar_all_reduce_norm_params* params) {
  fprintf(out,
          "  %%null = llvm.mlir.zero : !llvm.ptr\n"
          "  %%status = llvm.mlir.addressof @fiar.status : !llvm.ptr\n"
          "  %%before = llvm.load %%status : !llvm.ptr -> i32\n"
          "  %%ok = arith.constant %d : i32\n"
          "  %%go = arith.cmpi eq, %%before, %%ok : i32\n"
          "  scf.if %%go {\n",
          FIAR_OK);
  switch (call->kind) {
    case FIAR_CALL_ALL_REDUCE_NORM:
      print_norm_call(out, call, params);
      break;
    case FIAR_CALL_ALL_REDUCE:
      print_plain_call(out, "fiar_rt_all_reduce", params);
      break;
    case FIAR_CALL_ALL_GATHER_ROWS:
      print_plain_call(out, "fiar_rt_all_gather_rows", params);
      break;
    case FIAR_CALL_TAKE_ROWS:
      print_plain_call(out, "fiar_rt_take_rows", params);
      break;
  }
  fprintf(out, "    llvm.store %%after, %%status : i32, !llvm.ptr\n  }\n");
}

// From the signature to the closing brace: what makes two calls equal.
static void print_body(FILE* out, const FiarCall* call, const fiar_all_reduce_norm_params* params) {
  print_signature(out, call);
  for (int i = 0; i < FIAR_IN_COUNT; ++i) {
    if (!mlirValueIsNull(call->operands[i])) {
      print_operand(out, fiar_operand_slots[i].name, mlirValueGetType(call->operands[i]));
    }
  }
  // The gathered rows are counted by the result.
  bool gather = call->kind == FIAR_CALL_ALL_GATHER_ROWS;
  print_dimensions(
      out, mlirValueGetType(gather ? call->results[FIAR_OUT_SUM] : call->operands[FIAR_IN_X]));
  for (int i = 0; i < FIAR_OUT_COUNT; ++i) {
    if (!mlirValueIsNull(call->results[i])) {
      print_result(out, fiar_result_slots[i].name, mlirValueGetType(call->results[i]),
                   unpacks(call, i));
    }
  }
  print_call(out, call, params);
  if (!mlirValueIsNull(call->results[FIAR_OUT_QUANT]) && unpacks(call, FIAR_OUT_QUANT)) {
    print_unpacking(out, "quant", mlirValueGetType(call->results[FIAR_OUT_QUANT]));
  }
  for (int i = 0; i < FIAR_OUT_COUNT; ++i) {
    if (!mlirValueIsNull(call->results[i])) {
      MlirType type = mlirValueGetType(call->results[i]);
      fprintf(out, "  %%%s_tensor = bufferization.to_tensor %%%s_out restrict writable : ",
              fiar_result_slots[i].name, fiar_result_slots[i].name);
      fiarPrintBuffer(out, type, false);
      fprintf(out, " to ");
      fiarPrintType(out, type);
      fprintf(out, "\n");
    }
  }
  const char* separator = " ";
  fprintf(out, "  return");
  for (int pass = 0; pass < 2; ++pass) {
    for (int i = 0; i < FIAR_OUT_COUNT; ++i) {
      if (mlirValueIsNull(call->results[i])) {
        continue;
      }
      fprintf(out, "%s", separator);
      if (pass == 0) {
        fprintf(out, "%%%s_tensor", fiar_result_slots[i].name);
      } else {
        fiarPrintType(out, mlirValueGetType(call->results[i]));
      }
      separator = ", ";
    }
    separator = " : ";
  }
  fprintf(out, "\n}\n");
}

// ---- The pass ----------

// A call of a function of the module must be able to stand in the op's place.
static bool sees_the_module(MlirOperation module, MlirOperation op) {
  MlirContext context = mlirOperationGetContext(module);
  for (MlirOperation parent = mlirOperationGetParentOperation(op);
       !mlirOperationIsNull(parent) && !mlirOperationEqual(parent, module);
       parent = mlirOperationGetParentOperation(parent)) {
    MlirStringRef name = fiarOpName(parent);
    if (fiarIsNamed(parent, "builtin.module") || !mlirContextIsRegisteredOperation(context, name)) {
      return fiarErrorAt(op, "it lies in %.*s, from where functions of the module cannot be called",
                         (int)name.length, name.data);
    }
  }
  return true;
}

static void replace_by_call(MlirOperation op, const char* function) {
  MlirContext context = mlirOperationGetContext(op);
  MlirNamedAttribute callee =
      mlirNamedAttributeGet(mlirIdentifierGet(context, fiarString("callee")),
                            mlirFlatSymbolRefAttrGet(context, fiarString(function)));
  (void)fiarReplaceOp(op, "func.call", &callee);
}

// The communicators of a module, numbered in the order of the text: the runtime's `group`.
static int32_t number_group(FiarComms* comms, const FiarCall* call) {
  for (size_t i = 0; i < comms->count; ++i) {
    if (mlirAttributeEqual(comms->items[i].groups, call->groups)) {
      return comms->items[i].world == call->world ? (int32_t)i : -1;
    }
  }
  comms->items[comms->count] = (FiarComm){call->groups, call->world};
  return (int32_t)comms->count++;
}

typedef struct Functions {
  char** bodies;
  size_t count;
} Functions;

static char* body_text(const FiarCall* call, FiarComms* comms) {
  fiar_all_reduce_norm_params params;
  if (!fiarCallParams(call, &params)) {
    return NULL;
  }
  params.group = number_group(comms, call);
  if (params.group < 0) {
    (void)fiarErrorAt(call->op,
                      "world is %" PRId64 ", but an earlier op has another for these groups",
                      call->world);
    return NULL;
  }
  char* text = NULL;
  size_t size = 0;
  FILE* out = open_memstream(&text, &size);
  if (out == NULL) {
    (void)fiarErrorAt(call->op, "out of memory");
    return NULL;
  }
  print_body(out, call, &params);
  (void)fclose(out);
  return text;
}

// Takes `body`. The number of the function that has it.
static size_t function_of(Functions* functions, char* body) {
  for (size_t i = 0; i < functions->count; ++i) {
    if (strcmp(functions->bodies[i], body) == 0) {
      free(body);
      return i;
    }
  }
  functions->bodies[functions->count] = body;
  return functions->count++;
}

static bool lower_calls(MlirOperation module, FiarCalls* calls, FiarComms* comms,
                        Functions* functions) {
  for (size_t i = 0; i < calls->count; ++i) {
    char* body =
        sees_the_module(module, calls->items[i].op) ? body_text(&calls->items[i], comms) : NULL;
    if (body == NULL) {
      return false;
    }
    char name[48];
    (void)snprintf(name, sizeof name, "fiar.call.%zu", function_of(functions, body));
    replace_by_call(calls->items[i].op, name);
  }
  for (size_t i = 0; i < calls->count; ++i) {
    mlirOperationDestroy(calls->items[i].op);
  }
  return true;
}

static void print_functions(FILE* out, const Functions* functions) {
  static const char* const declarations =
      "llvm.mlir.global internal thread_local @fiar.status(0 : i32) : i32\n"
      "llvm.func @fiar_rt_check_abi(i32) -> i32\n"
      "llvm.func @fiar_rt_check_world(!llvm.ptr, i32, i64) -> i32\n"
      "llvm.func @fiar_rt_all_reduce_norm(!llvm.ptr, !llvm.ptr, !llvm.ptr) -> i32\n"
      "llvm.func @fiar_rt_all_reduce(!llvm.ptr, i32, !llvm.ptr, !llvm.ptr, i64, i64, i8, !llvm.ptr) -> i32\n"
      "llvm.func @fiar_rt_all_gather_rows(!llvm.ptr, i32, !llvm.ptr, !llvm.ptr, i64, i64, i8, !llvm.ptr) "
      "-> i32\n"
      "llvm.func @fiar_rt_take_rows(!llvm.ptr, i32, !llvm.ptr, !llvm.ptr, i64, i64, i8, !llvm.ptr) -> i32\n";
  fprintf(out, "%s", declarations);
  for (size_t i = 0; i < functions->count; ++i) {
    fprintf(out, "func.func private @fiar.call.%zu%s", i, functions->bodies[i]);
  }
}

// What the calls need beside themselves: the functions that they call, and the module's entries.
static bool append_support(MlirOperation module, const Functions* functions,
                           const FiarComms* comms) {
  char* text = NULL;
  size_t size = 0;
  FILE* out = open_memstream(&text, &size);
  if (out == NULL) {
    return fiarErrorAt(module, "out of memory");
  }
  print_functions(out, functions);
  bool ok = fiarPrintEntries(out, module, comms);
  (void)fclose(out);
  ok = ok && fiarAppendText(module, text);
  free(text);
  return ok;
}

// The grids have told which ranks reduce together; nothing refers to them any more.
static void erase_grids(MlirOperation module) {
  MlirOperation op =
      mlirBlockGetFirstOperation(mlirRegionGetFirstBlock(mlirOperationGetRegion(module, 0)));
  while (!mlirOperationIsNull(op)) {
    MlirOperation next = mlirOperationGetNextInBlock(op);
    if (fiarIsNamed(op, "shard.grid")) {
      mlirOperationDestroy(op);
    }
    op = next;
  }
}

MlirLogicalResult fiarLowerToRuntime(MlirOperation module) {
  FiarCalls calls = {0};
  if (!fiarCollectCalls(module, true, &calls)) {
    return mlirLogicalResultFailure();
  }
  FiarComms comms = {calloc(calls.count + 1, sizeof *comms.items), 0};
  Functions functions = {calloc(calls.count + 1, sizeof *functions.bodies), 0};
  bool ok = comms.items != NULL && functions.bodies != NULL;
  ok = ok && lower_calls(module, &calls, &comms, &functions) &&
       append_support(module, &functions, &comms);
  if (ok) {
    erase_grids(module);
  }
  for (size_t i = 0; i < functions.count; ++i) {
    free(functions.bodies[i]);
  }
  free(functions.bodies);
  free(comms.items);
  free(calls.items);
  return ok ? mlirLogicalResultSuccess() : mlirLogicalResultFailure();
}
