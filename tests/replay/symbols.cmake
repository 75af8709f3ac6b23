# Symbols of stock kernels, which boot in the test's own process. Where the guest cannot be had they skip.
add_executable(symbols_guest_test guest_harness.cc symbols_guest.cc symbols_test.cc)
target_link_libraries(symbols_guest_test PRIVATE hindsight_flags debugger_cli debugger_symbols traces_store
  engine_port fmt::fmt GTest::gmock_main util)
target_compile_definitions(symbols_guest_test PRIVATE HINDSIGHT_EXECUTABLE="$<TARGET_FILE:hindsight>"
  HINDSIGHT_GUESTS="${PROJECT_SOURCE_DIR}/tests/guests")
add_dependencies(symbols_guest_test hindsight)
gtest_discover_tests(symbols_guest_test DISCOVERY_MODE PRE_TEST PROPERTIES LABELS guest TIMEOUT 600)
