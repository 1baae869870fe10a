# What `cmake --install` adds beside the targets: the CMake package, pkg-config files.
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/Fiar)
set(FIAR_LLVM_BIN ${LLVM_TOOLS_BINARY_DIR})
set(FIAR_LLVM_LIB ${LLVM_LIBRARY_DIRS})
set(FIAR_MLIR_CAPI_LIBS "")
# The way back from a .pc file to the prefix, so that the tree may be moved.
file(RELATIVE_PATH FIAR_PC_PREFIX /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
foreach(part IN LISTS FIAR_MLIR_CAPI_PARTS)
  string(APPEND FIAR_MLIR_CAPI_LIBS " -lMLIRCAPI${part}")
endforeach()

configure_package_config_file(
  cmake/FiarConfig.cmake.in ${PROJECT_BINARY_DIR}/FiarConfig.cmake INSTALL_DESTINATION ${package_dir}
  PATH_VARS CMAKE_INSTALL_BINDIR CMAKE_INSTALL_LIBDIR)
# 0.x: a minor version may change the API.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/FiarConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
set(FIAR_PC_PRIVATE "")
if(FIAR_HAVE_CUDA)
  set(FIAR_PC_PRIVATE " -L${CUDAToolkit_LIBRARY_DIR} -lcudart_static -lrt")
endif()
configure_file(cmake/fiar.pc.in ${PROJECT_BINARY_DIR}/fiar.pc @ONLY)

install(EXPORT FiarTargets NAMESPACE fiar:: DESTINATION ${package_dir})
install(FILES ${PROJECT_BINARY_DIR}/FiarConfig.cmake ${PROJECT_BINARY_DIR}/FiarConfigVersion.cmake
        DESTINATION ${package_dir})
install(FILES ${PROJECT_BINARY_DIR}/fiar.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
if(FIAR_BUILD_COMPILER)
  configure_file(cmake/fiar-passes.pc.in ${PROJECT_BINARY_DIR}/fiar-passes.pc @ONLY)
  install(FILES cmake/FiarModel.cmake cmake/fiar_mlir.cmake DESTINATION ${package_dir})
  install(FILES ${PROJECT_BINARY_DIR}/fiar-passes.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endif()
