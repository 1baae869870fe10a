# fiar_add_model(NAME SOURCE.mlir [UNFUSED]): compiles a model to a static library for this machine.
#
# fiar-fuse (unless UNFUSED), then fiar-to-llvm, mlir-translate and clang: the commands of
# docs/compile.md. C calls the model's public functions; a program links NAME, which brings libfiar
# and the library of MLIR's that converts fp8 and fp4 elements.
function(fiar_add_model name source)
  cmake_parse_arguments(PARSE_ARGV 2 MODEL "UNFUSED" "" "")
  find_program(FIAR_MLIR_TRANSLATE NAMES mlir-translate-22 mlir-translate HINTS ${FIAR_LLVM_BIN} REQUIRED)
  find_program(FIAR_CLANG NAMES clang-22 clang HINTS ${FIAR_LLVM_BIN} REQUIRED)
  find_library(FIAR_APFLOAT mlir_apfloat_wrappers HINTS ${FIAR_LLVM_LIB} REQUIRED)
  get_filename_component(source ${source} ABSOLUTE)
  set(fuse --fiar-fuse)
  if(MODEL_UNFUSED)
    set(fuse "")
  endif()
  set(stem ${CMAKE_CURRENT_BINARY_DIR}/${name})
  add_custom_command(
    OUTPUT ${stem}.o
    COMMAND fiar::fiar-opt ${source} ${fuse} --fiar-to-llvm -o ${stem}.llvm.mlir
    COMMAND ${FIAR_MLIR_TRANSLATE} --mlir-to-llvmir ${stem}.llvm.mlir -o ${stem}.ll
    COMMAND ${FIAR_CLANG} -O2 -fPIC -Wno-override-module -c ${stem}.ll -o ${stem}.o
    DEPENDS ${source} fiar::fiar-opt
    VERBATIM)
  add_library(${name} STATIC ${stem}.o)
  set_source_files_properties(${stem}.o PROPERTIES EXTERNAL_OBJECT ON)
  set_target_properties(${name} PROPERTIES LINKER_LANGUAGE C)
  # Only a model that converts such elements itself loads it.
  target_link_libraries(${name} PUBLIC fiar::runtime -Wl,--push-state,--as-needed ${FIAR_APFLOAT} -Wl,--pop-state)
endfunction()

# fiar_add_block(NAME SOURCE.mlir [FUNCTION NAME] [MAX_TOKENS N] [SEPARATE]): compiles a block with fiarc to a static library that
# calls nothing but libfiar, for devices and the host alike (docs/compile.md).
#
# Its header is FUNCTION.h (NAME.h if not given) in the library's include path.
function(fiar_add_block name source)
  cmake_parse_arguments(PARSE_ARGV 2 BLOCK "SEPARATE" "FUNCTION;MAX_TOKENS" "")
  get_filename_component(source ${source} ABSOLUTE)
  if(NOT BLOCK_FUNCTION)
    set(BLOCK_FUNCTION ${name})
  endif()
  set(options --name=${BLOCK_FUNCTION})
  if(BLOCK_MAX_TOKENS)
    list(APPEND options --max-tokens=${BLOCK_MAX_TOKENS})
  endif()
  if(BLOCK_SEPARATE)
    list(APPEND options --separate)
  endif()
  set(folder ${CMAKE_CURRENT_BINARY_DIR}/${name}.block)
  file(MAKE_DIRECTORY ${folder})
  add_custom_command(
    OUTPUT ${folder}/${name}.o ${folder}/${BLOCK_FUNCTION}.h
    COMMAND fiar::fiarc ${source} -o ${folder}/${name}.o ${options}
    DEPENDS ${source} fiar::fiarc
    VERBATIM)
  add_library(${name} STATIC ${folder}/${name}.o ${folder}/${BLOCK_FUNCTION}.h)
  set_source_files_properties(${folder}/${name}.o PROPERTIES EXTERNAL_OBJECT ON)
  set_target_properties(${name} PROPERTIES LINKER_LANGUAGE C)
  target_include_directories(${name} INTERFACE ${folder})
  target_link_libraries(${name} PUBLIC fiar::runtime)
endfunction()
