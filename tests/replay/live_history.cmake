# Questions about a kernel of a page while it is recorded; kernels.cmake builds it.
hindsight_test(live_history_test SOURCES live_history_test.cc DEPS debugger_cli)
target_compile_definitions(live_history_test PRIVATE HINDSIGHT_KERNELS="${CMAKE_CURRENT_BINARY_DIR}")
add_dependencies(live_history_test test_kernels)
