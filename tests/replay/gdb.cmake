# gdb's own client; skipped where gdb is not installed.
hindsight_test(gdb_client_test SOURCES gdb_client_test.cc DEPS debugger_gdb tests_debugger_support)
