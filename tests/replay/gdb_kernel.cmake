# The real gdb walks in recorded guests: a stock kernel's boot, a faulty kernel module, a program without a kernel.
# Skips where gdb or the guests' packages cannot be had.
add_executable(gdb_kernel_test guest_harness.cc gdb_kernel_test.cc)
target_link_libraries(gdb_kernel_test PRIVATE hindsight_flags traces_store engine_port fmt::fmt GTest::gmock_main util)
target_compile_definitions(gdb_kernel_test PRIVATE HINDSIGHT_EXECUTABLE="$<TARGET_FILE:hindsight>"
  HINDSIGHT_GUESTS="${PROJECT_SOURCE_DIR}/tests/guests" HINDSIGHT_SOURCES="${PROJECT_SOURCE_DIR}")
add_dependencies(gdb_kernel_test hindsight)
gtest_discover_tests(gdb_kernel_test DISCOVERY_MODE PRE_TEST PROPERTIES LABELS guest TIMEOUT 600)
