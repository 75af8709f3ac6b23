# The window as a person uses it, with keys and a mouse through an X server; see guest.cmake.
if(xtst_FOUND)
  add_executable(window_by_hand_test guest_harness.cc window_arranged_test.cc window_by_hand_test.cc)
  target_link_libraries(window_by_hand_test PRIVATE hindsight_flags traces_store engine_port debugger_gdb
    tests_x_screen fmt::fmt GTest::gmock_main util)
  target_compile_definitions(window_by_hand_test PRIVATE HINDSIGHT_EXECUTABLE="$<TARGET_FILE:hindsight>"
    HINDSIGHT_GUESTS="${PROJECT_SOURCE_DIR}/tests/guests")
  add_dependencies(window_by_hand_test hindsight)
  gtest_discover_tests(window_by_hand_test DISCOVERY_MODE PRE_TEST PROPERTIES LABELS guest TIMEOUT 600)
else()
  add_test(NAME WindowByHand.NeedsLibxtst COMMAND ${CMAKE_COMMAND} -E echo "Skipped: libxtst-dev is not installed")
  set_tests_properties(WindowByHand.NeedsLibxtst PROPERTIES LABELS guest SKIP_REGULAR_EXPRESSION Skipped)
endif()
