# Questions about recorded boots of stock kernels; see guest.cmake.
add_executable(query_test guest_harness.cc query_test.cc)
target_link_libraries(query_test PRIVATE debugger_cli debugger_query capnp-json GTest::gmock_main util)
target_compile_definitions(query_test PRIVATE HINDSIGHT_EXECUTABLE="$<TARGET_FILE:hindsight>"
  HINDSIGHT_GUESTS="${PROJECT_SOURCE_DIR}/tests/guests")
add_dependencies(query_test hindsight)
gtest_discover_tests(query_test DISCOVERY_MODE PRE_TEST PROPERTIES LABELS guest TIMEOUT 600)
