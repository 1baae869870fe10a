// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "ir/match.h"

#include <stdlib.h>

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

// torch-mlir's tensors are opaque here: vtensor<[4,?,4096],bf16>.
static bool vtensor_read(MlirType type, FiarShape* out_shape) {
  if (!mlirTypeIsAOpaque(type)) {
    return false;
  }
  MlirStringRef data = mlirOpaqueTypeGetData(type);
  char text[256];
  if (data.length >= sizeof text || strncmp(data.data, "vtensor<[", 9) != 0) {
    return false;
  }
  memcpy(text, data.data, data.length);
  text[data.length] = '\0';
  char* at = text + 9;
  out_shape->rank = 0;
  while (*at != ']') {
    if (out_shape->rank == FIAR_MAX_RANK) {
      return false;
    }
    char* end = at + 1;
    int64_t size = *at == '?' ? -1 : strtoll(at, &end, 10);
    if (end == at || (*end != ',' && *end != ']')) {
      return false;
    }
    out_shape->size[out_shape->rank++] = size;
    at = *end == ',' ? end + 1 : end;
  }
  out_shape->elem = FIAR_ELEM_OTHER;
  if (at[1] == ',') {
    char* element = at + 2;
    element[strcspn(element, ">")] = '\0';
    size_t sign = element[0] == 's' || element[0] == 'u' ? 1 : 0;
    if (element[sign] == 'i' && element[sign + 1] >= '0' && element[sign + 1] <= '9') {
      out_shape->elem = FIAR_ELEM_INTEGER;
    }
    for (size_t i = 1; i < sizeof element_texts / sizeof *element_texts; ++i) {
      if (strcmp(element, element_texts[i]) == 0) {
        out_shape->elem = (FiarElement)i;
      }
    }
  }
  return true;
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
    return true;
  }
  return false;
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

MlirStringRef fiarOpName(MlirOperation op) {
  return mlirIdentifierStr(mlirOperationGetName(op));
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
