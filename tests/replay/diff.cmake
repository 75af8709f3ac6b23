# Differences of recorded boots of stock kernels; see guest.cmake.
add_executable(guest_diff_test guest_harness.cc diff_test.cc)
target_link_libraries(guest_diff_test PRIVATE debugger_cli GTest::gmock_main util)
target_compile_definitions(guest_diff_test PRIVATE HINDSIGHT_EXECUTABLE="$<TARGET_FILE:hindsight>"
  HINDSIGHT_GUESTS="${PROJECT_SOURCE_DIR}/tests/guests")
add_dependencies(guest_diff_test hindsight)
gtest_discover_tests(guest_diff_test DISCOVERY_MODE PRE_TEST PROPERTIES LABELS guest TIMEOUT 600)
