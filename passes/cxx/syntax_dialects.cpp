// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The lenient syntax dialects: one class, instantiated for every row of the table.
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "mlir/Bytecode/BytecodeImplementation.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/DialectImplementation.h"
#include "register.h"
#include "syntax.h"

using namespace mlir;

namespace fiar {

// The projects' own binary encodings of attributes and types are not ours to read. What fiar-opt
// writes holds them as text and never comes here.
class ForeignBytecode : public BytecodeDialectInterface {
 public:
  ForeignBytecode(Dialect* dialect, const DialectSyntax& of)
      : BytecodeDialectInterface(dialect), syntax(of) {}

  Attribute readAttribute(DialectBytecodeReader& reader) const override {
    report(reader);
    return {};
  }
  Type readType(DialectBytecodeReader& reader) const override {
    report(reader);
    return {};
  }
  std::unique_ptr<DialectVersion> readVersion(DialectBytecodeReader& reader) const override {
    report(reader);
    return nullptr;
  }

 private:
  void report(DialectBytecodeReader& reader) const {
    reader.emitError() << "this bytecode holds " << syntax.name
                       << "'s own encoding, which fiar does not read; "
                       << "turn it into text with: " << syntax.converter;
  }

  const DialectSyntax& syntax;
};

// Is there an #alias or !alias in the text? (#dialect.name and #dialect<name> are none.)
static bool has_alias(StringRef text) {
  for (size_t at = text.find_first_of("#!"); at != StringRef::npos;
       at = text.find_first_of("#!", at + 1)) {
    StringRef behind = text.drop_front(at + 1).drop_while(
        [](char c) { return llvm::isAlnum(c) || c == '_' || c == '$' || c == '-'; });
    if (!behind.starts_with(".") && !behind.starts_with("<")) {
      return true;
    }
  }
  return false;
}

// The text of an attribute or type with its aliases expanded. Text that does not lex as MLIR stays
// as it is.
static FailureOr<std::string> full_text(DialectAsmParser& parser) {
  StringRef text = parser.getFullSymbolSpec();
  if (!has_alias(text)) {
    return text.str();
  }
  TextCopy copy{parser, text.begin(), ""};
  while (parser.getCurrentLocation().getPointer() < text.end()) {
    int change;
    if (copy.at_nested()) {
      if (copy.nested()) {
        return failure();
      }
    } else if (!skip_token(parser, &change)) {
      return text.str();
    }
  }
  copy.up_to(std::max(copy.done, text.end()));
  return copy.text;
}

// Attributes and types are compared by their text, so spellings of one thing become one text.

// torch: vtensor<[2, ?], f32> is vtensor<[2,?],f32>.
static std::string torch_text(StringRef text) {
  constexpr StringLiteral head = "tensor<[";
  std::string plain;
  for (size_t at = text.find(head); at != StringRef::npos; at = text.find(head)) {
    size_t end = text.find(']', at);
    if (end == StringRef::npos) {
      break;
    }
    plain += text.take_front(at);
    llvm::copy_if(text.slice(at, end + 1), std::back_inserter(plain),
                  [](char c) { return c != ' '; });
    text = text.drop_front(end + 1);
    StringRef behind = text.ltrim();
    if (behind.consume_front(",")) {
      plain.push_back(',');
      text = behind.ltrim();
    }
  }
  return plain + text.str();
}

// StableHLO: type_extensions<bounds = [3, ?]>, as it was printed at first, is bounds<3, ?>.
static std::string stablehlo_text(StringRef text) {
  StringRef inner = text;
  return inner.consume_front("type_extensions<bounds = [") && inner.consume_back("]>")
             ? ("bounds<" + inner + ">").str()
             : text.str();
}

static std::string one_text(StringRef dialect, StringRef text) {
  return dialect == "torch"                            ? torch_text(text)
         : dialect == "stablehlo" || dialect == "mhlo" ? stablehlo_text(text)
                                                       : text.str();
}

class SyntaxDialect : public Dialect {
 public:
  SyntaxDialect(const DialectSyntax& of, MLIRContext* context, TypeID id)
      : Dialect(of.name, context, id), syntax(of) {
    allowUnknownOperations();
    allowUnknownTypes();
    addInterface<ForeignBytecode>(syntax);
    for (llvm::ArrayRef<OpSyntax> table : {syntax.ops, syntax.more_ops}) {
      for (const OpSyntax& row : table) {
        for (StringRef op : llvm::split(row.names, ' ')) {
          rows.try_emplace(op, &row);
        }
      }
    }
  }

  Attribute parseAttribute(DialectAsmParser& parser, Type type) const override {
    MLIRContext* context = getContext();
    FailureOr<std::string> text = full_text(parser);
    return failed(text) ? Attribute()
                        : OpaqueAttr::get(StringAttr::get(context, getNamespace()),
                                          one_text(getNamespace(), *text),
                                          type ? type : NoneType::get(context));
  }

  Type parseType(DialectAsmParser& parser) const override {
    FailureOr<std::string> text = full_text(parser);
    return failed(text) ? Type()
                        : OpaqueType::get(StringAttr::get(getContext(), getNamespace()),
                                          one_text(getNamespace(), *text));
  }

  std::optional<ParseOpHook> getParseOperationHook(StringRef name) const override {
    name.consume_front((getNamespace() + ".").str());
    const OpSyntax* row = rows.lookup(name);
    if (!row) {
      row = syntax.fallback;
    }
    return row ? ParseOpHook(*row) : ParseOpHook(unread);
  }

  const DialectSyntax& syntax;

 private:
  // An op without a row. The hook outlives the call, so it is a function, not a lambda of ours.
  static ParseResult unread(OpAsmParser& parser, OperationState& op) {
    InFlightDiagnostic error = parser.emitError(parser.getNameLoc())
                               << "has no pretty form that fiar reads";
    explain_conversion(op.name, error.getUnderlyingDiagnostic()->attachNote());
    return error;
  }

  llvm::StringMap<const OpSyntax*> rows;
};

void explain_conversion(OperationName name, Diagnostic& note) {
  const auto* dialect = static_cast<const SyntaxDialect*>(name.getDialect());
  note << "fiar reads the generic form of every op; print it with: " << dialect->syntax.converter;
}

// MLIR wants a type for every dialect.
template <size_t row>
struct SyntaxDialectOf : SyntaxDialect {
  explicit SyntaxDialectOf(MLIRContext* context)
      : SyntaxDialect(dialect_syntaxes[row], context, TypeID::get<SyntaxDialectOf>()) {}
  static StringRef getDialectNamespace() {
    return dialect_syntaxes[row].name;
  }
};

// A host may have the project's own dialect registered: then that one reads its ops.
template <size_t row>
static void insert(DialectRegistry& registry) {
  if (!registry.getDialectAllocator(dialect_syntaxes[row].name)) {
    registry.insert<SyntaxDialectOf<row>>();
  }
}

template <size_t... rows>
static void insert_all(DialectRegistry& registry, std::index_sequence<rows...>) {
  (insert<rows>(registry), ...);
}

void registerSyntaxDialects(DialectRegistry& registry) {
  insert_all(registry, std::make_index_sequence<dialect_count>());
}

}  // namespace fiar
