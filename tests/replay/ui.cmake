# The window over a recorded boot of a stock kernel, on a display that nobody sees; see guest.cmake.
add_executable(ui_guest_test guest_harness.cc ui_guest_test.cc)
target_link_libraries(ui_guest_test PRIVATE hindsight_flags traces_store engine_port fmt::fmt PkgConfig::png
  GTest::gmock_main util)
target_compile_definitions(ui_guest_test PRIVATE HINDSIGHT_EXECUTABLE="$<TARGET_FILE:hindsight>"
  HINDSIGHT_GUESTS="${PROJECT_SOURCE_DIR}/tests/guests")
add_dependencies(ui_guest_test hindsight)
# Under the address sanitizer a few that reach all of the window: its panels, the thread that asks, the session
# that gdb shares, a live machine, an end by an error.
string(JOIN ":" telling *.EveryPanel* *.Questions* *.GdbAndTheWindow* *.AMachineThatIsRecordedInItHas* *.AScriptThatCannot*)
gtest_discover_tests(ui_guest_test DISCOVERY_MODE PRE_TEST TEST_FILTER "${telling}"
  PROPERTIES LABELS guest_asan TIMEOUT 600)
gtest_discover_tests(ui_guest_test DISCOVERY_MODE PRE_TEST TEST_FILTER "-${telling}"
  PROPERTIES LABELS guest TIMEOUT 600)
add_dependencies(asan_tests ui_guest_test)
