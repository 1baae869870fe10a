// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The @parts of OpSyntax formats: what takes more than a word to describe, regions above all.
#include "llvm/ADT/StringExtras.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/TypeUtilities.h"
#include "syntax.h"

using namespace mlir;

namespace fiar {

// Constants and attributes.

// {..} dense<..> : T, the result type being the value's; or the generic form behind the name.
static ParseResult constant(OpReader& reader) {
  if (*reader.parser.getCurrentLocation().getPointer() == '(') {
    return reader.parser.parseGenericOperationAfterOpName(reader.op);
  }
  TypedAttr value;
  if (reader.dictionary(/*behind_keyword=*/false) || reader.parser.parseAttribute(value)) {
    return failure();
  }
  reader.properties.set("value", value);
  reader.op.addTypes(value.getType());
  return success();
}

// [start:limit:stride, ..], the stride 1 where it is left out.
static ParseResult slice(OpReader& reader) {
  SmallVector<int64_t> starts, limits, strides;
  OpAsmParser& parser = reader.parser;
  auto range = [&]() -> ParseResult {
    if (parser.parseInteger(starts.emplace_back()) || parser.parseColon() ||
        parser.parseInteger(limits.emplace_back())) {
      return failure();
    }
    strides.push_back(1);
    return failure(succeeded(parser.parseOptionalColon()) && parser.parseInteger(strides.back()));
  };
  if (parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, range)) {
    return failure();
  }
  Builder& builder = parser.getBuilder();
  reader.properties.set("start_indices", builder.getDenseI64ArrayAttr(starts));
  reader.properties.set("limit_indices", builder.getDenseI64ArrayAttr(limits));
  reader.properties.set("strides", builder.getDenseI64ArrayAttr(strides));
  return success();
}

// e5m10: five bits of exponent, ten of mantissa.
static ParseResult exponent_mantissa(OpReader& reader) {
  llvm::SMLoc at = reader.parser.getCurrentLocation();
  StringRef word;
  if (reader.parser.parseKeyword(&word)) {
    return failure();
  }
  unsigned exponent, mantissa;
  StringRef rest = word;
  if (!rest.consume_front("e") || rest.consumeInteger(10, exponent) || !rest.consume_front("m") ||
      rest.getAsInteger(10, mantissa)) {
    return reader.parser.emitError(at, "expected a format such as e5m10, got ") << word;
  }
  Builder& builder = reader.parser.getBuilder();
  reader.properties.set("exponent_bits", builder.getI32IntegerAttr(static_cast<int32_t>(exponent)));
  reader.properties.set("mantissa_bits", builder.getI32IntegerAttr(static_cast<int32_t>(mantissa)));
  return success();
}

static std::string list_text(ArrayRef<int64_t> values) {
  return "[" +
         llvm::join(llvm::map_range(values, [](int64_t v) { return std::to_string(v); }), ", ") +
         "]";
}

// [batching_dims = [..] x [..], ] contracting_dims = [..] x [..]; empty lists are left out of the
// text.
static ParseResult dot_dims(OpReader& reader) {
  OpAsmParser& parser = reader.parser;
  SmallVector<std::string> fields;
  auto pair = [&](StringRef kind) -> ParseResult {
    SmallVector<int64_t> lhs, rhs;
    if (parser.parseEqual() || reader.integers(lhs) || parser.parseKeyword("x") ||
        reader.integers(rhs)) {
      return failure();
    }
    if (!lhs.empty()) {
      fields.push_back(("lhs_" + kind + "_dimensions = " + list_text(lhs)).str());
    }
    if (!rhs.empty()) {
      fields.push_back(("rhs_" + kind + "_dimensions = " + list_text(rhs)).str());
    }
    return success();
  };
  if (succeeded(parser.parseOptionalKeyword("batching_dims")) &&
      (pair("batching") || parser.parseComma())) {
    return failure();
  }
  if (parser.parseKeyword("contracting_dims") || pair("contracting")) {
    return failure();
  }
  reader.properties.set("dot_dimension_numbers",
                        reader.opaque("dot<" + llvm::join(fields, ", ") + ">"));
  return success();
}

// [, precision = [A, B]] [, algorithm = <..>]
static ParseResult precision(OpReader& reader) {
  OpAsmParser& parser = reader.parser;
  while (succeeded(parser.parseOptionalComma())) {
    if (succeeded(parser.parseOptionalKeyword("algorithm"))) {
      if (parser.parseEqual() || reader.attribute("algorithm:text=dot_algorithm")) {
        return failure();
      }
      continue;
    }
    SmallVector<Attribute> values;
    auto value = [&]() -> ParseResult {
      StringRef word;
      if (parser.parseKeyword(&word)) {
        return failure();
      }
      values.push_back(reader.opaque("precision " + word));
      return success();
    };
    if (parser.parseKeyword("precision") || parser.parseEqual() ||
        parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, value)) {
      return failure();
    }
    reader.properties.set("precision_config", parser.getBuilder().getArrayAttr(values));
  }
  return success();
}

// [b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f]
static ParseResult conv_dims(OpReader& reader) {
  FailureOr<std::string> input = reader.bracketed();
  if (failed(input) || reader.parser.parseKeyword("x")) {
    return failure();
  }
  FailureOr<std::string> kernel = reader.bracketed();
  if (failed(kernel) || reader.parser.parseArrow()) {
    return failure();
  }
  FailureOr<std::string> output = reader.bracketed();
  if (failed(output)) {
    return failure();
  }
  reader.properties.set("dimension_numbers",
                        reader.opaque("conv<" + *input + "x" + *kernel + "->" + *output + ">"));
  return success();
}

// stride = [..], pad = [[low, high], ..], lhs_dilate = [..], rhs_dilate = [..], reverse = [..]: any
// of them
static ParseResult window(OpReader& reader) {
  static const struct {
    const char *keyword, *name;
  } lists[] = {
      {"stride", "window_strides"}, {"lhs_dilate", "lhs_dilation"}, {"rhs_dilate", "rhs_dilation"}};
  OpAsmParser& parser = reader.parser;
  Builder& builder = parser.getBuilder();
  StringRef keyword;
  while (succeeded(parser.parseOptionalKeyword(&keyword))) {
    llvm::SMLoc at = parser.getCurrentLocation();
    SmallVector<int64_t> values;
    if (parser.parseEqual()) {
      return failure();
    }
    if (keyword == "pad") {
      auto row = [&]() { return reader.integers(values); };
      if (parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, row)) {
        return failure();
      }
      auto type =
          RankedTensorType::get({static_cast<int64_t>(values.size() / 2), 2}, builder.getI64Type());
      if (values.size() % 2 != 0) {
        return parser.emitError(at, "expected pad = [[low, high], ...], a pair a dimension");
      }
      reader.properties.set("padding", DenseIntElementsAttr::get(type, values));
    } else if (keyword == "reverse") {
      SmallVector<bool> flags;
      auto flag = [&]() -> ParseResult {
        bool value;
        if (reader.flag(&value)) {
          return failure();
        }
        flags.push_back(value);
        return success();
      };
      if (parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, flag)) {
        return failure();
      }
      reader.properties.set("window_reversal", builder.getDenseBoolArrayAttr(flags));
    } else {
      const auto* list =
          llvm::find_if(lists, [&](const auto& each) { return keyword == each.keyword; });
      if (list == std::end(lists)) {
        return parser.emitError(at, "expected stride, pad, lhs_dilate, rhs_dilate or reverse, got ")
               << keyword;
      }
      if (reader.integers(values)) {
        return failure();
      }
      reader.properties.set(list->name, builder.getDenseI64ArrayAttr(values));
    }
    if (parser.parseOptionalComma()) {
      break;
    }
  }
  return success();
}

static ParseResult attributes(OpReader& reader) {
  return reader.dictionary(/*behind_keyword=*/true);
}

// sdy: [sum|max|min] before the axes. Nothing is stored where it is left out: it means sum, and
// older releases know no such attribute.
static ParseResult reduction(OpReader& reader) {
  char next = *reader.parser.getCurrentLocation().getPointer();
  if (next == '{' || next == '[' || next == '#') {
    return success();
  }
  return reader.attribute("reduction_op:choice=sum|max|min");
}

// Regions.

// (%a: T, %b: U) { .. }
static ParseResult body(OpReader& reader) {
  SmallVector<OpAsmParser::Argument> arguments;
  return failure(
      reader.parser.parseArgumentList(arguments, AsmParser::Delimiter::Paren, /*allowType=*/true) ||
      reader.region(arguments));
}

// { .. }
static ParseResult region(OpReader& reader) {
  return reader.region({});
}

// [({ .. }, { .. })]
static ParseResult regions(OpReader& reader) {
  if (reader.parser.parseOptionalLParen()) {
    return success();
  }
  return failure(reader.parser.parseCommaSeparatedList([&] { return region(reader); }) ||
                 reader.parser.parseRParen());
}

// [{ .. }, { .. }]
static ParseResult bare_regions(OpReader& reader) {
  do {
    auto region = std::make_unique<Region>();
    reader.in_region = true;
    OptionalParseResult parsed = reader.parser.parseOptionalRegion(*region);
    reader.in_region = false;
    if (!parsed.has_value()) {
      return success();
    }
    if (failed(*parsed)) {
      return failure();
    }
    reader.op.addRegion(std::move(region));
  } while (succeeded(reader.parser.parseOptionalComma()));
  return success();
}

// (%a = %x, %b = %y) : T, U attributes {..} cond { .. } do { .. }
static ParseResult while_loop(OpReader& reader) {
  OpAsmParser& parser = reader.parser;
  SmallVector<OpAsmParser::Argument> arguments;
  if (parser.parseAssignmentList(arguments, reader.operands)) {
    return failure();
  }
  SmallVector<Type> types;
  if (!arguments.empty() && parser.parseColonTypeList(types)) {
    return failure();
  }
  if (reader.resolve(types, types)) {
    return failure();
  }
  for (auto [argument, type] : llvm::zip(arguments, types)) {
    argument.type = type;
  }
  return failure(reader.dictionary(/*behind_keyword=*/true) || parser.parseKeyword("cond") ||
                 reader.region(arguments) || parser.parseKeyword("do") || reader.region(arguments));
}

// The body that `applies dialect.op` stands for: op(%a, %b), then return, on scalars.
static void applied_body(OpReader& reader, OperationName name, Type element) {
  Location location = reader.op.location;
  Type scalar = RankedTensorType::get({}, element);
  Block& block = reader.op.addRegion()->emplaceBlock();
  Value lhs = block.addArgument(scalar, location), rhs = block.addArgument(scalar, location);
  OpBuilder builder(reader.parser.getContext());
  builder.setInsertionPointToStart(&block);
  OperationState inner(location, name);
  inner.addOperands({lhs, rhs});
  inner.addTypes(scalar);
  Operation* applied = builder.create(inner);
  OperationState last(location, (name.getDialectNamespace() + ".return").str());
  last.addOperands(applied->getResults());
  builder.create(last);
}

// reducer(%a: T, %b: T) (..) { .. }: a pair an input, the inputs' arguments before the
// accumulators'.
static ParseResult reducer(OpReader& reader, size_t pairs) {
  OpAsmParser& parser = reader.parser;
  SmallVector<OpAsmParser::Argument> inputs, accumulators;
  if (parser.parseKeyword("reducer")) {
    return failure();
  }
  for (size_t i = 0; i < pairs; ++i) {
    if (parser.parseLParen() || parser.parseArgument(inputs.emplace_back(), /*allowType=*/true) ||
        parser.parseComma() ||
        parser.parseArgument(accumulators.emplace_back(), /*allowType=*/true) ||
        parser.parseRParen()) {
      return failure();
    }
  }
  inputs.append(accumulators);
  return reader.region(inputs);
}

// (%x init: %c), (..) [applies dialect.op] across dimensions = [1] {..} : FT [reducer..]
static ParseResult reduce(OpReader& reader) {
  OpAsmParser& parser = reader.parser;
  SmallVector<OpAsmParser::UnresolvedOperand> inits;
  auto pair = [&]() -> ParseResult {
    return failure(parser.parseLParen() || parser.parseOperand(reader.operands.emplace_back()) ||
                   parser.parseKeyword("init") || parser.parseColon() ||
                   parser.parseOperand(inits.emplace_back()) || parser.parseRParen());
  };
  if (parser.parseCommaSeparatedList(pair)) {
    return failure();
  }
  size_t pairs = inits.size();
  reader.operands.append(inits);

  FailureOr<OperationName> applied = failure();
  if (succeeded(parser.parseOptionalKeyword("applies")) &&
      failed(applied = parser.parseCustomOperationName())) {
    return failure();
  }
  SmallVector<int64_t> dims;
  std::optional<Location> location;
  if (parser.parseKeyword("across") || parser.parseKeyword("dimensions") || parser.parseEqual() ||
      reader.integers(dims) || reader.dictionary(/*behind_keyword=*/false) ||
      reader.types("function") || parser.parseOptionalLocationSpecifier(location)) {
    return failure();
  }
  if (location) {
    reader.op.location = *location;
  }
  Builder& builder = parser.getBuilder();
  if (reader.op.name.getDialectNamespace() == "mhlo") {  // which never moved to array<i64>
    reader.properties.set("dimensions", builder.getI64TensorAttr(dims));
  } else {
    reader.properties.set("dimensions", builder.getDenseI64ArrayAttr(dims));
  }
  if (failed(applied)) {
    return reducer(reader, pairs);
  }
  applied_body(reader, *applied, getElementTypeOrSelf(reader.op.operands.front().getType()));
  return success();
}

// (%x, ..) inits (%c, ..) dimension=0 attributes {..} { .. } : FT
static ParseResult scan(OpReader& reader) {
  OpAsmParser& parser = reader.parser;
  SmallVector<OpAsmParser::UnresolvedOperand> inits;
  if (parser.parseOperandList(reader.operands, AsmParser::Delimiter::Paren) ||
      parser.parseKeyword("inits") || parser.parseOperandList(inits, AsmParser::Delimiter::Paren)) {
    return failure();
  }
  auto inputs = static_cast<int32_t>(reader.operands.size());
  auto carries = static_cast<int32_t>(inits.size());
  reader.operands.append(inits);
  if (reader.read("dimension = dimension:i64 @attributes @region :function")) {
    return failure();
  }
  auto outputs = static_cast<int32_t>(reader.op.types.size()) - carries;
  if (outputs < 0) {
    return parser.emitError(parser.getNameLoc(), "has fewer results than inits");
  }
  Builder& builder = parser.getBuilder();
  reader.properties.set("operandSegmentSizes", builder.getDenseI32ArrayAttr({inputs, carries}));
  reader.properties.set("resultSegmentSizes", builder.getDenseI32ArrayAttr({outputs, carries}));
  return success();
}

// {..} %a, %b : T, U, or ()
static ParseResult barrier(OpReader& reader) {
  if (reader.dictionary(/*behind_keyword=*/false)) {
    return failure();
  }
  if (succeeded(reader.parser.parseOptionalLParen())) {
    return reader.parser.parseRParen();
  }
  return reader.read("%* {} :pairwise");
}

// [%a, %b] {..} [: T, U]: a terminator
static ParseResult returned(OpReader& reader) {
  if (reader.read("{} %* {}")) {
    return failure();
  }
  return reader.operands.empty() ? success() : reader.types("operands");
}

// torch: %a, %b {..} [: A, B [-> C]]
static ParseResult torch_op(OpReader& reader) {
  if (reader.read("%* {}")) {
    return failure();
  }
  OpAsmParser& parser = reader.parser;
  if (parser.getNumResults() == 0 && reader.operands.empty()) {
    // TorchScript's classes go on with a name.
    StringAttr name;
    return succeeded(parser.parseOptionalSymbolName(name))
               ? parser.emitError(parser.getNameLoc(), "expected operands or results")
               : success();
  }
  if (reader.types("arrow")) {
    return failure();
  }
  return parser.getNumResults() != 0 && reader.op.types.empty()
             ? parser.emitError(parser.getNameLoc(), "expected '->' and the types of its results")
             : success();
}

static Type torch_type(OpReader& reader, const Twine& text) {
  return OpaqueType::get(StringAttr::get(reader.parser.getContext(), "torch"), text.str());
}

// torch: a constant's result type follows from its name.
static ParseResult torch_constant(OpReader& reader) {
  StringRef kind = reader.op.name.stripDialect();
  kind.consume_front("constant.");
  StringRef value = kind == "int" ? "value:i64" : kind == "bool" ? "value:bool" : "value:any";
  if (kind != "none" && reader.attribute(value)) {
    return failure();
  }
  reader.op.addTypes(torch_type(reader, kind == "device" ? "Device" : kind));
  return reader.dictionary(/*behind_keyword=*/false);
}

// torch: %a {..} : T, a tensor and its value having types that differ in `vtensor` and `tensor`.
static ParseResult torch_copy(OpReader& reader) {
  OpaqueType type;
  if (reader.read("% {}") || reader.parser.parseColonType(type)) {
    return failure();
  }
  StringRef text = type.getTypeData();
  Type other = text.consume_front("v") ? torch_type(reader, text) : torch_type(reader, "v" + text);
  return reader.resolve(other, type);
}

// torch: %x, [%s0, %s1], affine_map<..> {..} : T, the symbols being integers.
static ParseResult torch_shape(OpReader& reader) {
  Type type;
  if (reader.read("% , [ %* ] , shape_expressions:any {}") || reader.parser.parseColonType(type)) {
    return failure();
  }
  SmallVector<Type> types(reader.operands.size(), torch_type(reader, "int"));
  types.front() = type;
  return reader.resolve(types, {});
}

// torch: %condition -> (T, U) { .. } else { .. }
static ParseResult torch_if(OpReader& reader) {
  SmallVector<Type> types;
  if (reader.read("%") || reader.parser.parseArrowTypeList(types) ||
      reader.resolve(torch_type(reader, "bool"), types)) {
    return failure();
  }
  return reader.read("@region else @region {}");
}

// torch: %condition, "message" {..}
static ParseResult torch_assert(OpReader& reader) {
  return failure(reader.read("% , message:string {}") ||
                 reader.resolve(torch_type(reader, "bool"), {}));
}

static const struct {
  const char* name;
  PartParser parse;
} parts[] = {
    {"attributes", attributes},
    {"barrier", barrier},
    {"body", body},
    {"constant", constant},
    {"conv_dims", conv_dims},
    {"dot_dims", dot_dims},
    {"exponent_mantissa", exponent_mantissa},
    {"precision", precision},
    {"reduce", reduce},
    {"reduction", reduction},
    {"region", region},
    {"regions", regions},
    {"bare_regions", bare_regions},
    {"returned", returned},
    {"scan", scan},
    {"slice", slice},
    {"torch_assert", torch_assert},
    {"torch_constant", torch_constant},
    {"torch_copy", torch_copy},
    {"torch_if", torch_if},
    {"torch_op", torch_op},
    {"torch_shape", torch_shape},
    {"while_loop", while_loop},
    {"window", window},
};

PartParser find_part(StringRef name) {
  for (const auto& part : parts) {
    if (name == part.name) {
      return part.parse;
    }
  }
  return nullptr;
}

}  // namespace fiar
