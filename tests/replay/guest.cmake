# Tests that boot stock kernels. Each takes seconds; HINDSIGHT_SOAK=1 repeats the random ones more often.
# Where the guests' packages cannot be had they skip and say so.
add_executable(guest_test guest_harness.cc guest_full_test.cc guest_ends_test.cc guest_kinds_test.cc)
target_link_libraries(guest_test PRIVATE hindsight_flags traces_store engine_port fmt::fmt GTest::gmock_main util)
target_compile_definitions(guest_test PRIVATE HINDSIGHT_EXECUTABLE="$<TARGET_FILE:hindsight>"
  HINDSIGHT_GUESTS="${PROJECT_SOURCE_DIR}/tests/guests")
add_dependencies(guest_test hindsight)
gtest_discover_tests(guest_test DISCOVERY_MODE PRE_TEST PROPERTIES LABELS guest TIMEOUT 1800)
