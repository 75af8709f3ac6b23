# Requests from any client.
hindsight_fuzzer(gdb_protocol_fuzz SOURCES gdb_protocol_fuzz.cc DEPS debugger_gdb tests_debugger_support)
