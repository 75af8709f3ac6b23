# A stock kernel's run without its user's data.
add_executable(strip_guest_test guest_harness.cc strip_guest_test.cc)
target_link_libraries(strip_guest_test PRIVATE hindsight_flags traces_store engine_port fmt::fmt GTest::gmock_main util)
target_compile_definitions(strip_guest_test PRIVATE HINDSIGHT_EXECUTABLE="$<TARGET_FILE:hindsight>"
  HINDSIGHT_GUESTS="${PROJECT_SOURCE_DIR}/tests/guests" HINDSIGHT_GOLDEN="${PROJECT_SOURCE_DIR}/tests/golden")
add_dependencies(strip_guest_test hindsight)
gtest_discover_tests(strip_guest_test DISCOVERY_MODE PRE_TEST PROPERTIES LABELS guest TIMEOUT 600)
