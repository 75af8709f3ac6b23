# Traces as regression tests: the golden trace, verified and altered through the executable.
add_executable(regress_test guest_harness.cc regress_test.cc)
target_link_libraries(regress_test PRIVATE hindsight_flags traces_store engine_port fmt::fmt GTest::gmock_main util)
target_compile_definitions(regress_test PRIVATE HINDSIGHT_EXECUTABLE="$<TARGET_FILE:hindsight>"
  HINDSIGHT_GUESTS="${PROJECT_SOURCE_DIR}/tests/guests" HINDSIGHT_GOLDEN="${PROJECT_SOURCE_DIR}/tests/golden")
add_dependencies(regress_test hindsight)
gtest_discover_tests(regress_test DISCOVERY_MODE PRE_TEST PROPERTIES LABELS replay TIMEOUT 120)
