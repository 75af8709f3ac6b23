# The module with the planted bug (tests/guests/bug), recorded on a stock kernel. Skips where the packages or
# the compiler to build it cannot be had.
add_executable(bug_test guest_harness.cc bug_test.cc)
target_link_libraries(bug_test PRIVATE hindsight_flags traces_store engine_port fmt::fmt GTest::gmock_main util)
target_compile_definitions(bug_test PRIVATE HINDSIGHT_EXECUTABLE="$<TARGET_FILE:hindsight>"
  HINDSIGHT_GUESTS="${PROJECT_SOURCE_DIR}/tests/guests")
add_dependencies(bug_test hindsight)
gtest_discover_tests(bug_test DISCOVERY_MODE PRE_TEST PROPERTIES LABELS guest TIMEOUT 600)
