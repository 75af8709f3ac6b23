# Parts of the command line that need no machine; the executable is tested in tests/replay.
hindsight_test(console_echo_test SOURCES cli/console_echo_test.cc DEPS debugger_cli)
