// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Lenient syntax dialects: they read the pretty form of ops that other projects define. Internal.
//
// Such a dialect knows how its ops are written and nothing of what they mean. Ops stay unregistered
// and print in generic form, attributes and types stay the text they were, and what the pretty form
// spells out is stored as properties, so a module read from pretty and from generic text is the
// same in memory.
#ifndef FIAR_CXX_SYNTAX_H
#define FIAR_CXX_SYNTAX_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "mlir/IR/OpImplementation.h"

namespace fiar {

// How some ops are written. `format` is a sequence of words:
//   %  %*  %,*     an operand; operands between commas, or none; operands, each with a comma behind
//   it name:kind[=m]  an attribute, stored under `name`; attribute_kinds in syntax_reader.cpp has
//   the kinds
//   @part          something with a parser of its own; parts in syntax_parts.cpp has them
//   :types         a colon and the types of the op, in one of the ways that type_forms lists
//   {}             an attribute dictionary, if there is one
//   (? ... )?      the words between, if the first of them, a literal, is there
//   anything else  itself
struct OpSyntax {
  const char* names;  // of the ops, without their dialect, separated by blanks
  const char* format;
  const char* declared;  // attributes of a dictionary that are properties; others are discardable

  mlir::ParseResult operator()(mlir::OpAsmParser& parser, mlir::OperationState& op) const;
};

// A dialect that is read in this way. An op without a row is read by `fallback` where there is one,
// else in generic form only.
struct DialectSyntax {
  const char* name;
  llvm::ArrayRef<OpSyntax> ops, more_ops;
  const OpSyntax* fallback;
  const char* converter;  // the command that prints a file in generic form, for error messages
};
constexpr size_t dialect_count = 20;
extern const DialectSyntax dialect_syntaxes[dialect_count];

// Adds to a note how to convert a file, for an op of one of these dialects.
void explain_conversion(mlir::OperationName op, mlir::Diagnostic& note);

// Reads one op by its format.
struct OpReader {
  mlir::OpAsmParser& parser;
  mlir::OperationState& op;
  llvm::StringRef declared;
  llvm::SmallVector<mlir::OpAsmParser::UnresolvedOperand> operands;
  mlir::NamedAttrList properties;
  bool in_region;  // errors there are not about this op's own text

  mlir::ParseResult read(llvm::StringRef format);
  mlir::ParseResult dictionary(bool behind_keyword);
  mlir::ParseResult types(llvm::StringRef form);
  mlir::ParseResult attribute(llvm::StringRef word);
  // What read() does last: the properties go where the generic form puts them.
  void finish();

  // Attributes of the op's own dialect, as text: `mnemonic` and what stands in brackets in the
  // source.
  mlir::Attribute opaque(const llvm::Twine& text);
  mlir::FailureOr<std::string> bracketed();
  mlir::ParseResult flag(bool* out_value);  // true, false or a number
  mlir::ParseResult integers(llvm::SmallVectorImpl<int64_t>& out_values);
  mlir::ParseResult region(llvm::ArrayRef<mlir::OpAsmParser::Argument> arguments);
  // Resolves the operands to these types and adds the results.
  mlir::ParseResult resolve(mlir::TypeRange operand_types, mlir::TypeRange result_types);
};

// Consumes the next token of an attribute's text, if it is one that such texts are made of.
// out_change is 1 for an opening bracket, -1 for a closing one, else 0.
bool skip_token(mlir::AsmParser& parser, int* out_change);

// Copies source text, but prints the attributes and types in it: an alias that only an opaque text
// uses would lose its definition on output.
struct TextCopy {
  mlir::AsmParser& parser;
  const char* done;  // the text before this is copied
  std::string text;

  bool at_nested() const {
    char next = *parser.getCurrentLocation().getPointer();
    return next == '#' || next == '!';
  }
  mlir::ParseResult nested();
  void up_to(const char* end) {
    text.append(done, end);
    done = end;
  }
};

// The parser of @name. NULL where there is none.
using PartParser = mlir::ParseResult (*)(OpReader& reader);
PartParser find_part(llvm::StringRef name);

}  // namespace fiar

#endif  // FIAR_CXX_SYNTAX_H
