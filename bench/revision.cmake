# cmake -DSOURCE_DIR=... -DHEADER=... -P revision.cmake: writes HEADER with the checkout's revision, where that is
# not what it says already. Runs with every build: a time without the code that it is of is worth little.
execute_process(COMMAND git describe --always --dirty WORKING_DIRECTORY ${SOURCE_DIR} OUTPUT_VARIABLE revision
                OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(NOT revision)
  set(revision unknown)
endif()
file(CONFIGURE OUTPUT ${HEADER} CONTENT "#define BENCH_REVISION \"${revision}\"\n")
