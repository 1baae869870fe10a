// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The interpreter of OpSyntax formats.
#include "llvm/ADT/StringExtras.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"
#include "syntax.h"

using namespace mlir;

namespace fiar {

ParseResult OpSyntax::operator()(OpAsmParser& parser, OperationState& op) const {
  OpReader reader{parser, op, declared, {}, {}, false};
  // Text that the table does not foresee may still be right: say how to get by.
  ScopedDiagnosticHandler explain(parser.getContext(), [&](Diagnostic& error) {
    if (!reader.in_region && error.getNotes().empty() &&
        StringRef(error.str()).contains("expected ")) {
      explain_conversion(op.name, error.attachNote());
    }
    return failure();
  });
  if (reader.read(format)) {
    return failure();
  }
  reader.finish();
  return success();
}

ParseResult OpReader::region(ArrayRef<OpAsmParser::Argument> arguments) {
  in_region = true;
  ParseResult result = parser.parseRegion(*op.addRegion(), arguments);
  in_region = false;
  return result;
}

void OpReader::finish() {
  if (!properties.empty()) {
    op.propertiesAttr = properties.getDictionary(parser.getContext());
  }
}

// Literals.

using Token = ParseResult (AsmParser::*)();
struct Literal {
  const char* text;
  Token required, optional;
};
static const Literal literals[] = {
    {",", &AsmParser::parseComma, &AsmParser::parseOptionalComma},
    {"=", &AsmParser::parseEqual, &AsmParser::parseOptionalEqual},
    {"(", &AsmParser::parseLParen, &AsmParser::parseOptionalLParen},
    {")", &AsmParser::parseRParen, &AsmParser::parseOptionalRParen},
    {"[", &AsmParser::parseLSquare, &AsmParser::parseOptionalLSquare},
    {"]", &AsmParser::parseRSquare, &AsmParser::parseOptionalRSquare},
    {"<", &AsmParser::parseLess, &AsmParser::parseOptionalLess},
    {">", &AsmParser::parseGreater, &AsmParser::parseOptionalGreater},
    {"{", &AsmParser::parseLBrace, &AsmParser::parseOptionalLBrace},
    {"}", &AsmParser::parseRBrace, &AsmParser::parseOptionalRBrace},
};

static ParseResult read_literal(AsmParser& parser, StringRef word, bool optional) {
  for (const Literal& literal : literals) {
    if (word == literal.text) {
      return (parser.*(optional ? literal.optional : literal.required))();
    }
  }
  return optional ? parser.parseOptionalKeyword(word) : parser.parseKeyword(word);
}

// Operands.

static ParseResult operands_before_commas(OpReader& reader) {
  OpAsmParser::UnresolvedOperand operand;
  for (;;) {
    OptionalParseResult found = reader.parser.parseOptionalOperand(operand);
    if (!found.has_value()) {
      return success();
    }
    if (*found || reader.parser.parseComma()) {
      return failure();
    }
    reader.operands.push_back(operand);
  }
}

// The format.

ParseResult OpReader::read(StringRef format) {
  while (!format.empty()) {
    auto [word, rest] = format.split(' ');
    format = rest;
    if (word == "(?") {
      auto [group, after] = format.split(" )?");
      auto [first, body] = group.split(' ');
      format = after.ltrim();
      if (succeeded(read_literal(parser, first, /*optional=*/true)) && read(body)) {
        return failure();
      }
    } else if (word == "%") {
      if (parser.parseOperand(operands.emplace_back())) {
        return failure();
      }
    } else if (word == "%*") {
      if (parser.parseOperandList(operands)) {
        return failure();
      }
    } else if (word == "%,*") {
      if (operands_before_commas(*this)) {
        return failure();
      }
    } else if (word == "{}") {
      if (dictionary(/*behind_keyword=*/false)) {
        return failure();
      }
    } else if (word.consume_front("@")) {
      PartParser part = find_part(word);
      if (!part) {
        return parser.emitError(parser.getNameLoc(), "the syntax table has no part ") << word;
      }
      if (part(*this)) {
        return failure();
      }
    } else if (word.size() > 1 && word.consume_front(":")) {
      if (types(word)) {
        return failure();
      }
    } else if (word.contains(':')) {
      if (attribute(word)) {
        return failure();
      }
    } else if (read_literal(parser, word, /*optional=*/false)) {
      return failure();
    }
  }
  return success();
}

static bool has_word(StringRef words, StringRef word) {
  for (StringRef each : llvm::split(words, ' ')) {
    if (each == word) {
      return true;
    }
  }
  return false;
}

ParseResult OpReader::dictionary(bool behind_keyword) {
  NamedAttrList all;
  if (behind_keyword ? parser.parseOptionalAttrDictWithKeyword(all)
                     : parser.parseOptionalAttrDict(all)) {
    return failure();
  }
  for (NamedAttribute each : all) {
    NamedAttrList& list = has_word(declared, each.getName()) ? properties : op.attributes;
    list.append(each);
  }
  return success();
}

// Attributes.

Attribute OpReader::opaque(const Twine& text) {
  MLIRContext* context = parser.getContext();
  return OpaqueAttr::get(StringAttr::get(context, op.name.getDialectNamespace()), text.str(),
                         NoneType::get(context));
}

bool skip_token(AsmParser& parser, int* out_change) {
  static const Token opening[] = {&AsmParser::parseOptionalLess, &AsmParser::parseOptionalLSquare,
                                  &AsmParser::parseOptionalLBrace, &AsmParser::parseOptionalLParen};
  static const Token closing[] = {&AsmParser::parseOptionalGreater,
                                  &AsmParser::parseOptionalRSquare, &AsmParser::parseOptionalRBrace,
                                  &AsmParser::parseOptionalRParen};
  static const Token plain[] = {&AsmParser::parseOptionalComma,    &AsmParser::parseOptionalColon,
                                &AsmParser::parseOptionalEqual,    &AsmParser::parseOptionalArrow,
                                &AsmParser::parseOptionalQuestion, &AsmParser::parseOptionalStar,
                                &AsmParser::parseOptionalPlus,     &AsmParser::parseOptionalSlash};
  auto takes = [&](Token token) { return succeeded((parser.*token)()); };
  *out_change = 1;
  if (llvm::any_of(opening, takes)) {
    return true;
  }
  *out_change = -1;
  if (llvm::any_of(closing, takes)) {
    return true;
  }
  *out_change = 0;
  if (llvm::any_of(plain, takes)) {
    return true;
  }
  StringRef keyword;
  std::string text;
  StringAttr symbol;
  APInt integer;
  if (succeeded(parser.parseOptionalString(&text)) ||
      succeeded(parser.parseOptionalKeyword(&keyword)) ||
      succeeded(parser.parseOptionalSymbolName(symbol))) {
    return true;
  }
  OptionalParseResult number = parser.parseOptionalInteger(integer);
  return (number.has_value() && succeeded(*number)) || succeeded(parser.parseOptionalMinus());
}

ParseResult TextCopy::nested() {
  const char* at = parser.getCurrentLocation().getPointer();
  up_to(at);
  llvm::raw_string_ostream os(text);
  Attribute attribute;
  Type type;
  if (*at == '#' ? parser.parseAttribute(attribute) : parser.parseType(type)) {
    return failure();
  }
  *at == '#' ? os << attribute : os << type;
  const char* next = parser.getCurrentLocation().getPointer();
  done = StringRef(at, static_cast<size_t>(next - at)).rtrim().end();
  return success();
}

FailureOr<std::string> OpReader::bracketed() {
  const char* begin = parser.getCurrentLocation().getPointer();
  TextCopy copy{parser, begin, ""};
  for (int depth = 0, change = 0;;) {
    llvm::SMLoc at = parser.getCurrentLocation();
    if (depth != 0 && copy.at_nested()) {
      if (copy.nested()) {
        return failure();
      }
      continue;
    }
    if (!skip_token(parser, &change)) {
      return parser.emitError(at, "expected the rest of an attribute that opened with '")
             << StringRef(begin, 1) << "'";
    }
    depth += change;
    if (depth == 0) {
      if (change == 0) {
        return parser.emitError(at, "expected an attribute in brackets");
      }
      copy.up_to(at.getPointer() + 1);
      return copy.text;
    }
  }
}

ParseResult OpReader::integers(SmallVectorImpl<int64_t>& out_values) {
  return parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, [&]() -> ParseResult {
    return parser.parseInteger(out_values.emplace_back());
  });
}

ParseResult OpReader::flag(bool* out_value) {
  llvm::SMLoc at = parser.getCurrentLocation();
  StringRef word;
  int64_t number = 0;
  OptionalParseResult numeric = parser.parseOptionalInteger(number);
  if (numeric.has_value()) {
    *out_value = number != 0;
    return *numeric;
  }
  if (parser.parseOptionalKeyword(&word, {"true", "false"})) {
    return parser.emitError(at, "expected true or false");
  }
  *out_value = word == "true";
  return success();
}

struct AttributeKind {
  const char* name;
  // Returns NULL where it has reported an error. `mnemonic` is what stands behind the kind's '='.
  Attribute (*read)(OpReader& reader, StringRef mnemonic);
};

static Attribute read_integer(OpReader& reader, unsigned bits) {
  int64_t value;
  if (reader.parser.parseInteger(value)) {
    return {};
  }
  Builder& builder = reader.parser.getBuilder();
  return builder.getIntegerAttr(builder.getIntegerType(bits), value);
}

static Attribute read_bool(OpReader& reader, StringRef) {
  bool value;
  return reader.flag(&value) ? Attribute() : reader.parser.getBuilder().getBoolAttr(value);
}

static Attribute read_any(OpReader& reader, StringRef) {
  Attribute attribute;
  (void)reader.parser.parseAttribute(attribute);
  return attribute;
}

// A dialect's own attribute without its `#dialect.mnemonic`; with it is as good.
static Attribute read_text(OpReader& reader, StringRef mnemonic, StringRef before,
                           StringRef after) {
  if (*reader.parser.getCurrentLocation().getPointer() == '#') {
    return read_any(reader, mnemonic);
  }
  FailureOr<std::string> text = reader.bracketed();
  return failed(text) ? Attribute() : reader.opaque(mnemonic + before + *text + after);
}

static const AttributeKind attribute_kinds[] = {
    {"i64", [](OpReader& reader, StringRef) { return read_integer(reader, 64); }},
    {"i32", [](OpReader& reader, StringRef) { return read_integer(reader, 32); }},
    {"bool", read_bool},
    {"any", read_any},
    {"i64s",
     [](OpReader& reader, StringRef) -> Attribute {
       SmallVector<int64_t> values;
       return reader.integers(values) ? Attribute()
                                      : reader.parser.getBuilder().getDenseI64ArrayAttr(values);
     }},
    {"string",
     [](OpReader& reader, StringRef) -> Attribute {
       std::string text;
       return reader.parser.parseString(&text) ? Attribute()
                                               : reader.parser.getBuilder().getStringAttr(text);
     }},
    {"symbol",  // @name, stored as a string
     [](OpReader& reader, StringRef) -> Attribute {
       StringAttr name;
       return reader.parser.parseSymbolName(name) ? Attribute() : name;
     }},
    {"enum",  // WORD, stored as #dialect<mnemonic WORD>
     [](OpReader& reader, StringRef mnemonic) -> Attribute {
       StringRef word;
       return reader.parser.parseKeyword(&word) ? Attribute()
                                                : reader.opaque(mnemonic + " " + word);
     }},
    {"choice",  // WORD, stored as its place in the mnemonic's list
     [](OpReader& reader, StringRef words) -> Attribute {
       llvm::SMLoc at = reader.parser.getCurrentLocation();
       StringRef word;
       if (reader.parser.parseKeyword(&word)) {
         return {};
       }
       SmallVector<StringRef> choices;
       words.split(choices, '|');
       auto* found = llvm::find(choices, word);
       if (found == choices.end()) {
         reader.parser.emitError(at, "expected one of ")
             << llvm::join(choices, ", ") << ", got " << word;
         return {};
       }
       return reader.parser.getBuilder().getI32IntegerAttr(
           static_cast<int32_t>(found - choices.begin()));
     }},
    {"text",  // [...], stored as #dialect<mnemonic[...]>; the brackets of any kind
     [](OpReader& reader, StringRef mnemonic) { return read_text(reader, mnemonic, "", ""); }},
    {"angled",  // [...], stored as #dialect.mnemonic<[...]>
     [](OpReader& reader, StringRef mnemonic) { return read_text(reader, mnemonic, "<", ">"); }},
};

ParseResult OpReader::attribute(StringRef word) {
  auto [name, kind_and_mnemonic] = word.split(':');
  auto [kind_name, mnemonic] = kind_and_mnemonic.split('=');
  for (const AttributeKind& kind : attribute_kinds) {
    if (kind_name == kind.name) {
      Attribute attribute = kind.read(*this, mnemonic.empty() ? name : mnemonic);
      if (!attribute) {
        return failure();
      }
      properties.set(name, attribute);
      return success();
    }
  }
  return parser.emitError(parser.getNameLoc(), "the syntax table has no attribute kind ")
         << kind_name;
}

// Types.

ParseResult OpReader::resolve(TypeRange operand_types, TypeRange result_types) {
  op.addTypes(result_types);
  return parser.resolveOperands(operands, operand_types, parser.getNameLoc(), op.operands);
}

// A function type resolves the op; any other type is handed back.
static FailureOr<Type> read_type(OpReader& reader, const char* expected) {
  llvm::SMLoc at = reader.parser.getCurrentLocation();
  Type type;
  if (reader.parser.parseType(type)) {
    return failure();
  }
  if (auto function = dyn_cast<FunctionType>(type)) {
    if (reader.resolve(function.getInputs(), function.getResults())) {
      return failure();
    }
    return Type();
  }
  if (!expected) {
    return reader.parser.emitError(at, "expected a function type, (operand types) -> result types");
  }
  return type;
}

static ParseResult same_types(OpReader& reader) {
  FailureOr<Type> type = read_type(reader, "");
  if (failed(type) || !*type) {
    return failure(failed(type));
  }
  return reader.resolve(SmallVector<Type>(reader.operands.size(), *type), *type);
}

static ParseResult function_type(OpReader& reader) {
  return failure(failed(read_type(reader, nullptr)));
}

static ParseResult result_types(OpReader& reader) {
  SmallVector<Type> types;
  return failure(reader.parser.parseTypeList(types) || reader.resolve({}, types));
}

static ParseResult operand_types(OpReader& reader) {
  SmallVector<Type> types;
  return failure(reader.parser.parseTypeList(types) || reader.resolve(types, {}));
}

static ParseResult pairwise_types(OpReader& reader) {
  SmallVector<Type> types;
  return failure(reader.parser.parseTypeList(types) || reader.resolve(types, types));
}

static ParseResult tuple_type(OpReader& reader) {
  FailureOr<Type> type = read_type(reader, "");
  if (failed(type) || !*type) {
    return failure(failed(type));
  }
  auto tuple = dyn_cast<TupleType>(*type);
  if (!tuple) {
    return reader.parser.emitError(reader.parser.getNameLoc(), "expected a tuple type, got ")
           << *type;
  }
  return reader.resolve(tuple.getTypes(), tuple);
}

static ParseResult complex_type(OpReader& reader) {
  FailureOr<Type> type = read_type(reader, "");
  if (failed(type) || !*type) {
    return failure(failed(type));
  }
  auto shaped = dyn_cast<ShapedType>(*type);
  auto element = shaped ? dyn_cast<ComplexType>(shaped.getElementType()) : ComplexType();
  if (!element) {
    return reader.parser.emitError(reader.parser.getNameLoc(), "expected a tensor of complex, got ")
           << *type;
  }
  Type part = shaped.clone(element.getElementType());
  return reader.resolve({part, part}, *type);
}

static ParseResult select_types(OpReader& reader) {
  FailureOr<Type> predicate = read_type(reader, "");
  if (failed(predicate) || !*predicate) {
    return failure(failed(predicate));
  }
  Type value;
  return failure(reader.parser.parseComma() || reader.parser.parseType(value) ||
                 reader.resolve({*predicate, value, value}, value));
}

static ParseResult arrow_types(OpReader& reader) {
  SmallVector<Type> from, to;
  FailureOr<Type> first = read_type(reader, "");
  if (failed(first) || !*first) {
    return failure(failed(first));
  }
  from.push_back(*first);
  while (succeeded(reader.parser.parseOptionalComma())) {
    if (reader.parser.parseType(from.emplace_back())) {
      return failure();
    }
  }
  if (succeeded(reader.parser.parseOptionalArrow())) {
    bool in_parens = succeeded(reader.parser.parseOptionalLParen());
    if (reader.parser.parseTypeList(to) || (in_parens && reader.parser.parseRParen())) {
      return failure();
    }
  }
  return reader.resolve(from, to);
}

static ParseResult to_types(OpReader& reader) {
  Type from, to;
  return failure(reader.parser.parseType(from) || reader.parser.parseKeyword("to") ||
                 reader.parser.parseType(to) || reader.resolve(from, to));
}

struct TypeForm {
  const char* name;
  ParseResult (*read)(OpReader& reader);
};

// Every form that says less than a function type takes a function type as well.
static const TypeForm type_forms[] = {
    {"function", function_type},   // (A, B) -> C
    {"same", same_types},          // T: of all operands and the result
    {"result", result_types},      // T: of the results, no operands
    {"operands", operand_types},   // T, U: of the operands, no results
    {"pairwise", pairwise_types},  // T, U: of the operands and of the results
    {"select", select_types},      // P, T: of the predicate, and of all else
    {"tuple", tuple_type},         // tuple<A, B>: of the result, made of the operands
    {"complex", complex_type},     // of the result, made of two real operands
    {"arrow", arrow_types},        // A, B -> C, D or -> (C, D), or nothing behind the operands
    {"to", to_types},              // A to B
};

ParseResult OpReader::types(StringRef form_name) {
  if (parser.parseColon()) {
    return failure();
  }
  for (const TypeForm& form : type_forms) {
    if (form_name == form.name) {
      return form.read(*this);
    }
  }
  return parser.emitError(parser.getNameLoc(), "the syntax table has no type form ") << form_name;
}

}  // namespace fiar
