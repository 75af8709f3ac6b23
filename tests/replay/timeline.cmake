# Moves along recorded boots of stock kernels; see guest.cmake.
add_executable(timeline_test guest_harness.cc timeline_test.cc)
target_link_libraries(timeline_test PRIVATE debugger_cli GTest::gmock_main util)
target_compile_definitions(timeline_test PRIVATE HINDSIGHT_EXECUTABLE="$<TARGET_FILE:hindsight>"
  HINDSIGHT_GUESTS="${PROJECT_SOURCE_DIR}/tests/guests")
add_dependencies(timeline_test hindsight)
gtest_discover_tests(timeline_test DISCOVERY_MODE PRE_TEST PROPERTIES LABELS guest TIMEOUT 1800)
