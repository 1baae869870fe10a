# fiar_embed(FILE NAME OUT_C): a C source that holds FILE as `const char NAME[]` and `size_t NAME_size`.
function(fiar_embed file name out)
  get_filename_component(file ${file} ABSOLUTE)
  set(source ${CMAKE_CURRENT_BINARY_DIR}/${name}.c)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
  file(READ ${file} bytes HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
  string(REGEX REPLACE "((0x..,){20})" "\\1\n" bytes "${bytes}")
  file(CONFIGURE OUTPUT ${source} CONTENT
"#include <stddef.h>
extern const char ${name}[];
extern const size_t ${name}_size;
const char ${name}[] = {
@bytes@0};
const size_t ${name}_size = sizeof ${name} - 1;
" @ONLY)
  set(${out} ${source} PARENT_SCOPE)
endfunction()
