# Snapshots in recorded boots of stock kernels; see guest.cmake.
add_executable(snapshot_guest_test guest_harness.cc snapshot_guest_test.cc)
target_link_libraries(snapshot_guest_test PRIVATE debugger_cli GTest::gmock_main util)
target_compile_definitions(snapshot_guest_test PRIVATE HINDSIGHT_EXECUTABLE="$<TARGET_FILE:hindsight>"
  HINDSIGHT_GUESTS="${PROJECT_SOURCE_DIR}/tests/guests")
add_dependencies(snapshot_guest_test hindsight)
gtest_discover_tests(snapshot_guest_test DISCOVERY_MODE PRE_TEST PROPERTIES LABELS guest TIMEOUT 1800)
