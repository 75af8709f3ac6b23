# Kernels of a page, recorded and replayed on the whole board. Each judges what it sees by itself.
find_program(HINDSIGHT_GUEST_CC gcc REQUIRED)
set(kernels)
foreach(name counter debug_registers interrupt_shadow)
  set(kernel ${CMAKE_CURRENT_BINARY_DIR}/${name}.elf)
  add_custom_command(OUTPUT ${kernel}
    DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/kernels/${name}.S ${CMAKE_CURRENT_SOURCE_DIR}/kernels/entry.inc
    COMMAND ${HINDSIGHT_GUEST_CC} -m64 -I ${CMAKE_CURRENT_SOURCE_DIR}/kernels -nostdlib -static -no-pie
      -Wl,-N,-Ttext=0x100000,-e,start,--build-id=none,--no-warn-rwx-segments
      ${CMAKE_CURRENT_SOURCE_DIR}/kernels/${name}.S -o ${kernel} VERBATIM)
  list(APPEND kernels ${kernel})
endforeach()
add_custom_target(test_kernels DEPENDS ${kernels})
hindsight_test(kernels_test SOURCES kernels_test.cc)
target_compile_definitions(kernels_test PRIVATE HINDSIGHT_EXECUTABLE="$<TARGET_FILE:hindsight>"
  HINDSIGHT_KERNELS="${CMAKE_CURRENT_BINARY_DIR}")
add_dependencies(kernels_test hindsight test_kernels)
