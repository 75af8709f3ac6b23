# Source lines and variables over a recorded panic; see bug.cmake.
add_executable(source_guest_test guest_harness.cc source_guest_test.cc)
target_link_libraries(source_guest_test PRIVATE hindsight_flags traces_store engine_port fmt::fmt PkgConfig::png
  GTest::gmock_main util)
target_compile_definitions(source_guest_test PRIVATE HINDSIGHT_EXECUTABLE="$<TARGET_FILE:hindsight>"
  HINDSIGHT_GUESTS="${PROJECT_SOURCE_DIR}/tests/guests" HINDSIGHT_ROOT="${PROJECT_SOURCE_DIR}")
add_dependencies(source_guest_test hindsight)
gtest_discover_tests(source_guest_test DISCOVERY_MODE PRE_TEST PROPERTIES LABELS guest TIMEOUT 600)
