# fiar_target(NAME): the settings that every C target of the project shares.
set(FIAR_C_WARNINGS
    -Wall -Wextra -Wpedantic -Wundef -Wshadow -Wvla -Wconversion -Wstrict-prototypes
    -Wmissing-prototypes -Wold-style-definition
    $<$<C_COMPILER_ID:Clang>:-Wno-enum-float-conversion>) # whole numbers with names may meet doubles

function(fiar_target name)
  target_compile_options(${name} PRIVATE "$<$<COMPILE_LANGUAGE:C>:${FIAR_C_WARNINGS}>"
                                         "$<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra>")
  if(FIAR_WERROR)
    target_compile_options(${name} PRIVATE "$<$<COMPILE_LANGUAGE:C,CXX>:-Werror>")
  endif()
  target_compile_definitions(${name} PRIVATE _GNU_SOURCE)
  set_target_properties(${name} PROPERTIES C_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden)
  if(FIAR_SANITIZE)
    target_compile_options(${name} PRIVATE "$<$<COMPILE_LANGUAGE:C,CXX>:-fsanitize=${FIAR_SANITIZE};-fno-omit-frame-pointer;-fno-sanitize-recover=undefined>")
    target_link_options(${name} PRIVATE -fsanitize=${FIAR_SANITIZE})
  endif()
  if(FIAR_FUZZ)
    target_compile_options(${name} PRIVATE "$<$<COMPILE_LANGUAGE:C,CXX>:-fsanitize=fuzzer-no-link>")
  endif()
endfunction()
