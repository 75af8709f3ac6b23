# What happened on recorded boots of stock kernels; see guest.cmake.
add_executable(activity_test guest_harness.cc activity_test.cc)
target_link_libraries(activity_test PRIVATE debugger_cli GTest::gmock_main util)
target_compile_definitions(activity_test PRIVATE HINDSIGHT_EXECUTABLE="$<TARGET_FILE:hindsight>"
  HINDSIGHT_GUESTS="${PROJECT_SOURCE_DIR}/tests/guests")
add_dependencies(activity_test hindsight)
gtest_discover_tests(activity_test DISCOVERY_MODE PRE_TEST PROPERTIES LABELS guest TIMEOUT 1800)
