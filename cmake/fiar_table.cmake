# fiar_table_stems(FILE OUT): the first argument of every X(...) row of a .def table, in order.
# CMake builds its source lists from the same tables that the C code expands.
function(fiar_table_stems file out)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
  file(STRINGS ${file} rows REGEX "^X\\(")
  set(stems "")
  foreach(row IN LISTS rows)
    string(REGEX REPLACE "^X\\( *\"?([A-Za-z0-9_]+).*" "\\1" stem "${row}")
    list(APPEND stems ${stem})
  endforeach()
  set(${out} ${stems} PARENT_SCOPE)
endfunction()
