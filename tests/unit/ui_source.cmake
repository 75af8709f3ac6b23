# The window's source and variables, over the programs of source.cmake.
hindsight_test(ui_source_test SOURCES debugger/ui_c_highlight_test.cc debugger/ui_source_test.cc
  DEPS debugger_ui debugger_source tests_program_session)
target_compile_definitions(ui_source_test PRIVATE HINDSIGHT_SAMPLES="${CMAKE_CURRENT_BINARY_DIR}"
  HINDSIGHT_SOURCE_ROOT="${PROJECT_SOURCE_DIR}")
add_dependencies(ui_source_test sample_O1_program)
