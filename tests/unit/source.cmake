# Source lines, calls and variables of a small program that is compiled for the test.
foreach(level O0 O1 O2)
  hindsight_guest_program(sample_${level} ${CMAKE_CURRENT_SOURCE_DIR}/source/sample.c -${level})
endforeach()
# As compilers wrote it twenty years ago.
hindsight_guest_program(sample_dwarf2 ${CMAKE_CURRENT_SOURCE_DIR}/source/sample.c -O0 -gdwarf-2 -gstrict-dwarf)
# The same without call-frame information.
add_custom_command(OUTPUT sample_no_frames.elf DEPENDS sample_O0.elf
  COMMAND ${CMAKE_OBJCOPY} -R .eh_frame -R .debug_frame sample_O0.elf sample_no_frames.elf VERBATIM)
add_custom_target(sample_no_frames_program DEPENDS sample_no_frames.elf)
hindsight_test(source_test SOURCES source/source_view_test.cc source/damaged_file_test.cc
  DEPS debugger_source tests_program_session)
target_compile_definitions(source_test PRIVATE HINDSIGHT_SAMPLES="${CMAKE_CURRENT_BINARY_DIR}"
  HINDSIGHT_SOURCE_ROOT="${PROJECT_SOURCE_DIR}")
add_dependencies(source_test sample_O0_program sample_O1_program sample_O2_program
  sample_no_frames_program sample_dwarf2_program)
