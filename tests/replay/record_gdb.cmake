# The real gdb on stock kernels that are being recorded; see gdb_kernel.cmake.
add_executable(record_gdb_test guest_harness.cc record_gdb_test.cc)
target_link_libraries(record_gdb_test PRIVATE hindsight_flags traces_store engine_port fmt::fmt GTest::gmock_main util)
target_compile_definitions(record_gdb_test PRIVATE HINDSIGHT_EXECUTABLE="$<TARGET_FILE:hindsight>"
  HINDSIGHT_GUESTS="${PROJECT_SOURCE_DIR}/tests/guests")
add_dependencies(record_gdb_test hindsight)
gtest_discover_tests(record_gdb_test DISCOVERY_MODE PRE_TEST PROPERTIES LABELS guest TIMEOUT 600)
