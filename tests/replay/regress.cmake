# Traces as regression tests: the golden trace, verified and altered through the executable.
add_executable(regress_test guest_harness.cc regress_test.cc)
target_link_libraries(regress_test PRIVATE hindsight_flags traces_store engine_port fmt::fmt GTest::gmock_main util)
target_compile_definitions(regress_test PRIVATE HINDSIGHT_EXECUTABLE="$<TARGET_FILE:hindsight>"
  HINDSIGHT_GUESTS="${PROJECT_SOURCE_DIR}/tests/guests" HINDSIGHT_GOLDEN="${PROJECT_SOURCE_DIR}/tests/golden")
add_dependencies(regress_test hindsight)
gtest_discover_tests(regress_test DISCOVERY_MODE PRE_TEST PROPERTIES LABELS replay TIMEOUT 120)

# The same of what was typed at a stock kernel's shell.
add_executable(rerun_guest_test guest_harness.cc rerun_guest_test.cc)
target_link_libraries(rerun_guest_test PRIVATE hindsight_flags traces_store engine_port fmt::fmt GTest::gmock_main util)
target_compile_definitions(rerun_guest_test PRIVATE HINDSIGHT_EXECUTABLE="$<TARGET_FILE:hindsight>"
  HINDSIGHT_GUESTS="${PROJECT_SOURCE_DIR}/tests/guests")
add_dependencies(rerun_guest_test hindsight)
gtest_discover_tests(rerun_guest_test DISCOVERY_MODE PRE_TEST PROPERTIES LABELS guest TIMEOUT 600)
