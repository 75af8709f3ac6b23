# Branches of recorded boots of stock kernels; see guest.cmake.
add_executable(branch_test guest_harness.cc branch_test.cc)
target_link_libraries(branch_test PRIVATE debugger_cli GTest::gmock_main util)
target_compile_definitions(branch_test PRIVATE HINDSIGHT_EXECUTABLE="$<TARGET_FILE:hindsight>"
  HINDSIGHT_GUESTS="${PROJECT_SOURCE_DIR}/tests/guests")
add_dependencies(branch_test hindsight)
gtest_discover_tests(branch_test DISCOVERY_MODE PRE_TEST PROPERTIES LABELS guest TIMEOUT 600)
