# The window over a recorded boot of a stock kernel, on a display that nobody sees; see guest.cmake.
add_executable(ui_guest_test guest_harness.cc ui_guest_test.cc)
target_link_libraries(ui_guest_test PRIVATE hindsight_flags traces_store engine_port fmt::fmt PkgConfig::png
  GTest::gmock_main util)
target_compile_definitions(ui_guest_test PRIVATE HINDSIGHT_EXECUTABLE="$<TARGET_FILE:hindsight>"
  HINDSIGHT_GUESTS="${PROJECT_SOURCE_DIR}/tests/guests")
add_dependencies(ui_guest_test hindsight)
gtest_discover_tests(ui_guest_test DISCOVERY_MODE PRE_TEST PROPERTIES LABELS guest TIMEOUT 600)
