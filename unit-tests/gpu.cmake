# The CUDA half of the tests: pure parts by cmocka, then programs that need GPUs and exit 77 without (docs/gpu-tests.md).
foreach(stem algorithm matmul_path no_gpu)
  fiar_unit_test(${stem})
endforeach()

fiar_test_program(nccl_abi_test nccl_abi_test.c)
target_include_directories(nccl_abi_test SYSTEM PRIVATE ${CUDAToolkit_INCLUDE_DIRS})
add_test(NAME unit.nccl_abi COMMAND nccl_abi_test)
set_tests_properties(unit.nccl_abi PROPERTIES SKIP_RETURN_CODE 77)

fiar_test_program(cublaslt_abi_test cublaslt_abi_test.c)
target_include_directories(cublaslt_abi_test SYSTEM PRIVATE ${CUDAToolkit_INCLUDE_DIRS})
add_test(NAME unit.cublaslt_abi COMMAND cublaslt_abi_test)
set_tests_properties(unit.cublaslt_abi PROPERTIES SKIP_RETURN_CODE 77)

# C programs link the static library without a C++ one, nvcc's host code included.
add_test(NAME unit.no_cxx COMMAND sh -c "! nm -u $<TARGET_FILE:fiar_static> | grep -E '__cxa_guard|__gxx|_Z[NSnd]'")

target_sources(conformance PRIVATE conformance_cuda.c)
target_link_libraries(conformance PRIVATE CUDA::cudart_static)
fiar_test_program(gpu_test gpu_test.c gpu_session.c gpu_between.c gpu_calls.c gpu_kernels.cu)
target_link_libraries(gpu_test PRIVATE CUDA::cudart_static)

fiar_test_program(block_gpu_test block_gpu_test.c block_cases.c gpu_kernels.cu)
target_link_libraries(block_gpu_test PRIVATE CUDA::cudart_static)
add_test(NAME gpu.block COMMAND block_gpu_test)
set_tests_properties(gpu.block PROPERTIES TIMEOUT 600 SKIP_RETURN_CODE 77)

foreach(ranks 2 3 4)
  foreach(mode processes threads)
    foreach(row trtllm trtllm_graph mnnvl mnnvl_graph nccl nccl_graph auto)
      add_test(NAME conformance.${row}.${mode}.${ranks} COMMAND conformance ${row} ${mode} ${ranks})
      set_tests_properties(conformance.${row}.${mode}.${ranks} PROPERTIES TIMEOUT 600 SKIP_RETURN_CODE 77)
    endforeach()
    foreach(backend trtllm mnnvl nccl)
      add_test(NAME gpu.${backend}.${mode}.${ranks} COMMAND gpu_test ${backend} ${mode} ${ranks})
      set_tests_properties(gpu.${backend}.${mode}.${ranks} PROPERTIES TIMEOUT 1200 SKIP_RETURN_CODE 77)
    endforeach()
  endforeach()
endforeach()
