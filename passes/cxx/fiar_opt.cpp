// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// fiar-opt: mlir-opt with fiar's dialects and passes.
//
// Beside mlir-opt it allows unregistered dialects without being asked, names what an input is that
// is no MLIR at all, and leaves an output file as it was unless it could write all of it.
#include "fiar/version.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/raw_ostream.h"
#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/InitAllPasses.h"
#include "mlir/Support/FileUtilities.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "register.h"

static llvm::raw_ostream& complain() {
  return llvm::errs() << "fiar-opt: error: ";
}

// What is wrong with an input that no MLIR parser could make sense of; empty where one might.
static std::string foreign_format(llvm::StringRef input) {
  if (input.starts_with("ML\xEFR")) {  // bytecode
    return "";
  }
  if (input.starts_with("HloModule")) {
    return "is HLO text, not MLIR; turn it into StableHLO with: xla-translate --hlo-text-to-stablehlo FILE";
  }
  size_t nul = input.find('\0');
  if (nul != llvm::StringRef::npos) {
    return "is neither MLIR text nor MLIR bytecode: byte " + std::to_string(nul) + " is zero";
  }
  return "";
}

// The dialect of the first op in pretty form that no registered dialect reads; empty where there is
// none. It explains a failed parse: MLIR's own message lists what is registered, not what to do.
static llvm::StringRef unread_dialect(llvm::StringRef text, const mlir::DialectRegistry& registry) {
  while (!text.empty()) {
    auto [line, rest] = text.split('\n');
    text = rest;
    line = line.ltrim();
    if (line.starts_with("%")) {
      line = line.split(" = ").second.ltrim();
    }
    auto in_name = [](char c) { return llvm::isAlnum(c) || c == '_' || c == '.'; };
    auto [dialect, op] = line.take_while(in_name).split('.');
    bool attribute = line.drop_while(in_name).ltrim().starts_with("=");
    if (!op.empty() && llvm::isAlpha(line.front()) && !attribute &&
        !registry.getDialectAllocator(dialect)) {
      return dialect;
    }
  }
  return "";
}

static bool is_regular_or_new(llvm::StringRef path) {
  llvm::sys::fs::file_status status;
  return llvm::sys::fs::status(path, status) || llvm::sys::fs::is_regular_file(status);
}

// The stream's error, if it had one. LLVM would abort on an error that nobody took.
static std::error_code take_error(llvm::raw_fd_ostream& os) {
  os.flush();
  std::error_code code = os.error();
  os.clear_error();
  return code;
}

using Writer = llvm::function_ref<bool(llvm::raw_ostream&)>;

// Runs `write`, which reports its own failure, on a new file that then takes the path's place.
static llvm::Error replace_file(llvm::StringRef path, Writer write, bool* out_done) {
  return llvm::writeToOutput(path, [&](llvm::raw_ostream& os) {
    *out_done = write(os);
    std::error_code code = take_error(static_cast<llvm::raw_fd_ostream&>(os));
    return llvm::errorCodeToError(*out_done || code ? code
                                                    : std::make_error_code(std::errc::io_error));
  });
}

static llvm::Error write_in_place(llvm::StringRef path, Writer write, bool* out_done) {
  std::error_code code;
  llvm::raw_fd_ostream os(path, code);
  if (!code) {
    *out_done = write(os);
    code = take_error(os);
  }
  return llvm::errorCodeToError(code);
}

static int with_output(llvm::StringRef path, Writer write) {
  bool ran = false, done = false;
  auto noting = [&](llvm::raw_ostream& os) {
    ran = true;
    return write(os);
  };
  bool replace = path != "-" && is_regular_or_new(path);
  std::error_code code = llvm::errorToErrorCode(replace ? replace_file(path, noting, &done)
                                                        : write_in_place(path, noting, &done));
  if (code && (done || !ran)) {
    complain() << "cannot write '" << path << "': " << code.message() << "\n";
  }
  return done && !code ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char** argv) {
  mlir::registerAllPasses();
  fiar::registerPasses();
  mlir::DialectRegistry registry;
  mlir::registerAllDialects(registry);
  mlir::registerAllExtensions(registry);
  fiar::registerDialects(registry);

  llvm::cl::AddExtraVersionPrinter(
      [](llvm::raw_ostream& os) { os << "fiar " FIAR_VERSION_STRING "\n"; });
  auto [input_path, output_path] = mlir::registerAndParseCLIOptions(
      argc, argv, "fiar: fused all-reduce + RMSNorm + quantisation\n", registry);
  mlir::MlirOptMainConfig config = mlir::MlirOptMainConfig::createFromCLOptions();
  if (config.shouldShowDialects() || config.shouldListPasses()) {
    return mlir::asMainReturnCode(mlir::MlirOptMain(argc, argv, input_path, output_path, registry));
  }
  config.allowUnregisteredDialects(true);

  llvm::InitLLVM init(argc, argv);
  if (input_path == "-" && llvm::sys::Process::FileDescriptorIsDisplayed(0)) {
    llvm::errs() << "(processing input from stdin now, hit ctrl-c/ctrl-d to interrupt)\n";
  }
  std::string text;
  std::unique_ptr<llvm::MemoryBuffer> input = mlir::openInputFile(input_path, &text);
  if (!input) {
    complain() << text << "\n";
    return EXIT_FAILURE;
  }
  text = foreign_format(input->getBuffer());
  if (!text.empty()) {
    complain() << "'" << input_path << "' " << text << "\n";
    return EXIT_FAILURE;
  }
  llvm::StringRef module = input->getBuffer();
  std::unique_ptr<llvm::MemoryBuffer> view =
      llvm::MemoryBuffer::getMemBuffer(module, input->getBufferIdentifier());
  return with_output(output_path, [&](llvm::raw_ostream& os) {
    bool done = mlir::succeeded(mlir::MlirOptMain(os, std::move(view), registry, config));
    llvm::StringRef dialect = done ? "" : unread_dialect(module, registry);
    if (!dialect.empty()) {
      llvm::errs() << "fiar-opt: note: fiar reads the generic form of every op; print '" << dialect
                   << "' ops with their project's own tool: <tool> --mlir-print-op-generic FILE\n";
    }
    return done;
  });
}
