# fiar::mlir: the C-API archives over the shared libMLIR and libLLVM.
#
# The CMake targets MLIRCAPI* would pull in static MLIR (138 MB a binary); the archive files over the
# shared libraries are 150 KB, and let the passes share one MLIR with mlir-opt and other hosts.
find_package(MLIR 22.1 CONFIG REQUIRED PATHS /usr/lib/llvm-22/lib/cmake/mlir)
message(STATUS "fiar: MLIR at ${MLIR_DIR}")

add_library(fiar_mlir INTERFACE)
add_library(fiar::mlir ALIAS fiar_mlir)
target_include_directories(fiar_mlir SYSTEM INTERFACE ${MLIR_INCLUDE_DIRS} ${LLVM_INCLUDE_DIRS})
set(FIAR_MLIR_CAPI_PARTS IR IRDL Func Arith Math Linalg LLVM MemRef Tensor Bufferization SCF
    Transforms Conversion RegisterEverything Interfaces)
foreach(part IN LISTS FIAR_MLIR_CAPI_PARTS)
  list(APPEND FIAR_MLIR_CAPI $<TARGET_FILE:MLIRCAPI${part}>)
endforeach()
target_link_libraries(
  fiar_mlir
  INTERFACE -Wl,--start-group ${FIAR_MLIR_CAPI} -Wl,--end-group $<TARGET_FILE:MLIR> $<TARGET_FILE:LLVM>)
# clang's sanitizers are archives whose malloc all libraries must share.
if(NOT (FIAR_SANITIZE AND CMAKE_C_COMPILER_ID STREQUAL Clang))
  target_link_options(fiar_mlir INTERFACE -Wl,--exclude-libs,ALL)
endif()
