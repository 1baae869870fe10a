// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "ir/match.h"

#include <string.h>

#include "mlir-c/BuiltinAttributes.h"
#include "mlir-c/BuiltinTypes.h"

static const char* const element_texts[] = {
#define X(name, text, bytes) text,
    FIAR_ELEM_TABLE(X)
#undef X
};

const char* fiarElementText(FiarElement elem) {
  return element_texts[elem];
}

FiarElement fiarElementOf(MlirType type) {
  if (mlirTypeIsABF16(type)) return FIAR_ELEM_BF16;
  if (mlirTypeIsAF32(type)) return FIAR_ELEM_F32;
  if (mlirTypeIsAF16(type)) return FIAR_ELEM_F16;
  if (mlirTypeIsAF64(type)) return FIAR_ELEM_F64;
  if (mlirTypeIsAInteger(type)) return FIAR_ELEM_INTEGER;
  if (mlirTypeIsAFloat8E4M3FN(type)) return FIAR_ELEM_F8E4M3FN;
  if (mlirTypeIsAFloat8E8M0FNU(type)) return FIAR_ELEM_F8E8M0FNU;
  if (mlirTypeIsAFloat4E2M1FN(type)) return FIAR_ELEM_F4E2M1FN;
  if (mlirTypeIsAFloat(type) && mlirFloatTypeGetWidth(type) == 8) return FIAR_ELEM_F8OTHER;
  return FIAR_ELEM_OTHER;
}

// The element type's text in a vtensor: bf16, si64, !torch.complex<..>.
static FiarElement vtensor_element(MlirStringRef text) {
  for (size_t i = 1; i < sizeof element_texts / sizeof *element_texts; ++i) {
    if (fiarStringEqual(text, element_texts[i])) {
      return (FiarElement)i;
    }
  }
  size_t sign = text.length > 0 && (text.data[0] == 's' || text.data[0] == 'u') ? 1 : 0;
  bool integer = text.length > sign + 1 && text.data[sign] == 'i' && text.data[sign + 1] >= '0' &&
                 text.data[sign + 1] <= '9';
  return integer ? FIAR_ELEM_INTEGER : FIAR_ELEM_OTHER;
}

// A size, or -1 for '?'. False: no size that an int64_t holds.
static bool vtensor_size(const char** at, const char* end, int64_t* out_size) {
  if (*at < end && **at == '?') {
    ++*at;
    *out_size = -1;
    return true;
  }
  const char* start = *at;
  *out_size = 0;
  for (; *at < end && **at >= '0' && **at <= '9'; ++*at) {
    if (*out_size > (INT64_MAX - 9) / 10) {
      return false;
    }
    *out_size = *out_size * 10 + (**at - '0');
  }
  return *at > start;
}

// torch-mlir's tensors are opaque here: vtensor<[4,?,4096],bf16>.
static bool vtensor_read(MlirType type, FiarShape* out_shape) {
  static const char head[] = "vtensor<[";
  enum { HEAD = sizeof head - 1 };
  if (!mlirTypeIsAOpaque(type)) {
    return false;
  }
  MlirStringRef data = mlirOpaqueTypeGetData(type);
  if (data.length < HEAD || memcmp(data.data, head, HEAD) != 0) {
    return false;
  }
  const char *at = data.data + HEAD, *end = data.data + data.length;
  out_shape->rank = 0;
  while (at < end && *at != ']') {
    if (out_shape->rank == FIAR_MAX_RANK ||
        !vtensor_size(&at, end, &out_shape->size[out_shape->rank++])) {
      return false;
    }
    if (at < end && *at == ',') {
      ++at;
    } else if (at == end || *at != ']') {
      return false;
    }
  }
  out_shape->elem = FIAR_ELEM_OTHER;
  if (end - at > 2 && at[1] == ',') {
    const char* element = at + 2;
    const char* stop = memchr(element, '>', (size_t)(end - element));
    stop = stop == NULL ? end : stop;
    out_shape->elem = vtensor_element(mlirStringRefCreate(element, (size_t)(stop - element)));
  }
  return at < end;
}

bool fiarShapeRead(MlirType type, FiarShape* out_shape) {
  if (!mlirTypeIsARankedTensor(type)) {
    return vtensor_read(type, out_shape);
  }
  intptr_t rank = mlirShapedTypeGetRank(type);
  if (rank > FIAR_MAX_RANK) {
    return false;
  }
  out_shape->rank = (int)rank;
  out_shape->elem = fiarElementOf(mlirShapedTypeGetElementType(type));
  for (intptr_t i = 0; i < rank; ++i) {
    out_shape->size[i] =
        mlirShapedTypeIsDynamicDim(type, i) ? -1 : mlirShapedTypeGetDimSize(type, i);
  }
  return true;
}

bool fiarMayHoldTensors(MlirType type) {
  static const char word[] = "tensor";
  if (!mlirTypeIsAOpaque(type)) {
    return mlirTypeIsATensor(type);
  }
  MlirStringRef text = mlirOpaqueTypeGetData(type);
  for (size_t at = 0; at + sizeof word - 1 <= text.length; ++at) {
    if (memcmp(text.data + at, word, sizeof word - 1) == 0) {
      return true;
    }
  }
  return false;
}

int64_t fiarShapeElements(const FiarShape* shape) {
  int64_t elements = 1;
  for (int i = 0; i < shape->rank; ++i) {
    if (shape->size[i] < 0) {
      return -1;
    }
    elements *= shape->size[i];
  }
  return elements;
}

bool fiarSameSizes(const FiarShape* a, const FiarShape* b) {
  bool same = a->rank == b->rank;
  for (int i = 0; same && i < a->rank; ++i) {
    same = a->size[i] == b->size[i];
  }
  return same;
}

static int64_t dense_int(MlirAttribute attribute, intptr_t at) {
  MlirType type = mlirShapedTypeGetElementType(mlirAttributeGetType(attribute));
  if (mlirTypeIsAIndex(type)) {
    return (int64_t)mlirDenseElementsAttrGetIndexValue(attribute, at);
  }
  switch (mlirIntegerTypeGetWidth(type)) {
    case 32:
      return mlirDenseElementsAttrGetInt32Value(attribute, at);
    case 64:
      return mlirDenseElementsAttrGetInt64Value(attribute, at);
    default:
      return INT64_MIN;
  }
}

int fiarReadInts(MlirAttribute attribute, int64_t* out_ints, int max) {
  if (mlirAttributeIsNull(attribute)) {
    return -1;
  }
  if (mlirAttributeIsAInteger(attribute)) {
    out_ints[0] = mlirIntegerAttrGetValueInt(attribute);
    return 1;
  }
  bool is_i64 = mlirAttributeIsADenseI64Array(attribute);
  bool is_i32 = mlirAttributeIsADenseI32Array(attribute);
  bool is_array = mlirAttributeIsAArray(attribute);
  bool is_elements = mlirAttributeIsADenseIntElements(attribute);
  if (!is_i64 && !is_i32 && !is_array && !is_elements) {
    return -1;
  }
  intptr_t count = is_array      ? mlirArrayAttrGetNumElements(attribute)
                   : is_elements ? (intptr_t)mlirElementsAttrGetNumElements(attribute)
                                 : mlirDenseArrayGetNumElements(attribute);
  if (count > max) {
    return -1;
  }
  for (intptr_t i = 0; i < count; ++i) {
    if (is_array) {
      MlirAttribute element = mlirArrayAttrGetElement(attribute, i);
      if (!mlirAttributeIsAInteger(element)) {
        return -1;
      }
      out_ints[i] = mlirIntegerAttrGetValueInt(element);
    } else {
      out_ints[i] = is_i64   ? mlirDenseI64ArrayGetElement(attribute, i)
                    : is_i32 ? mlirDenseI32ArrayGetElement(attribute, i)
                             : dense_int(attribute, i);
    }
  }
  return (int)count;
}

bool fiarReadNumber(MlirAttribute attribute, double* out_number) {
  if (mlirAttributeIsNull(attribute)) {
    return false;
  }
  if (mlirAttributeIsADenseElements(attribute)) {
    if (!mlirDenseElementsAttrIsSplat(attribute)) {
      return false;
    }
    attribute = mlirDenseElementsAttrGetSplatValue(attribute);
  }
  if (mlirAttributeIsAFloat(attribute)) {
    *out_number = mlirFloatAttrGetValueDouble(attribute);
    return true;
  }
  if (mlirAttributeIsAInteger(attribute)) {
    MlirType type = mlirAttributeGetType(attribute);
    if (mlirTypeIsAInteger(type) && mlirIntegerTypeGetWidth(type) > 64) {
      return false;
    }
    *out_number = mlirTypeIsAInteger(type) && mlirIntegerTypeIsUnsigned(type)
                      ? (double)mlirIntegerAttrGetValueUInt(attribute)
                  : mlirTypeIsAInteger(type) && mlirIntegerTypeIsSigned(type)
                      ? (double)mlirIntegerAttrGetValueSInt(attribute)
                      : (double)mlirIntegerAttrGetValueInt(attribute);
    if (mlirTypeIsAInteger(type) && mlirIntegerTypeGetWidth(type) == 1) {
      *out_number = *out_number != 0;  // true is 1, though its one bit is a sign
    }
    return true;
  }
  return false;
}

int64_t fiarWhole(double number) {
  const double most = 0x1p53;
  if (number != number) {
    return 0;
  }
  return (int64_t)(number > most ? most : number < -most ? -most : number);
}

MlirAttribute fiarOpAttribute(MlirOperation op, const char* name) {
  return mlirOperationGetAttributeByName(op, mlirStringRefCreateFromCString(name));
}

MlirStringRef fiarAttributeText(MlirAttribute attribute) {
  if (mlirAttributeIsNull(attribute)) {
    return mlirStringRefCreate("", 0);
  }
  if (mlirAttributeIsAString(attribute)) {
    return mlirStringAttrGetValue(attribute);
  }
  if (mlirAttributeIsAOpaque(attribute)) {
    return mlirOpaqueAttrGetData(attribute);
  }
  return mlirStringRefCreate("", 0);
}

typedef struct Room {
  char* at;
  size_t left;  // beside the '\0'
} Room;

static void append(MlirStringRef piece, void* data) {
  Room* room = data;
  size_t length = piece.length < room->left ? piece.length : room->left;
  memcpy(room->at, piece.data, length);
  room->at += length;
  room->left -= length;
}

void fiarAttributePrint(MlirAttribute attribute, char* out_text, size_t size) {
  Room room = {out_text, size - 1};
  mlirAttributePrint(attribute, append, &room);
  out_text[size - 1 - room.left] = '\0';
}

MlirStringRef fiarOpName(MlirOperation op) {
  return mlirIdentifierStr(mlirOperationGetName(op));
}

bool fiarIsOp(MlirOperation op, const char* name) {
  return !mlirOperationIsNull(op) && fiarStringEqual(fiarOpName(op), name);
}

bool fiarIsOpOf(MlirOperation op, const char* name, intptr_t operands, intptr_t results) {
  return fiarIsOp(op, name) && mlirOperationGetNumOperands(op) >= operands &&
         mlirOperationGetNumResults(op) >= results;
}

FiarElement fiarValueElement(MlirValue value) {
  FiarShape shape;
  return fiarShapeRead(mlirValueGetType(value), &shape) ? shape.elem : FIAR_ELEM_OTHER;
}

double fiarRoundTo(FiarElement elem, double number) {
  switch (elem) {
    case FIAR_ELEM_F32:
      return (double)(float)number;
    case FIAR_ELEM_BF16:
      return fiarRoundBits(number, 8, -133);
    case FIAR_ELEM_F16:
      return fiarRoundBits(number, 11, -24);
    default:
      return number;
  }
}

bool fiarConvertsExactly(MlirType to, double number) {
  FiarShape shape;
  FiarElement elem = fiarShapeRead(to, &shape) ? shape.elem : fiarElementOf(to);
  if (elem == FIAR_ELEM_F16 || elem == FIAR_ELEM_BF16 || elem == FIAR_ELEM_F32 ||
      elem == FIAR_ELEM_F64) {
    return true;
  }
  MlirType type = mlirTypeIsAShaped(to) ? mlirShapedTypeGetElementType(to) : to;
  if (!mlirTypeIsAInteger(type) || !(number >= 0) || number != floor(number)) {
    return false;
  }
  return number < ldexp(1, (int)mlirIntegerTypeGetWidth(type) - !mlirIntegerTypeIsUnsigned(type));
}
