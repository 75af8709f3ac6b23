# gdb's protocol: without a machine, over the session of tests/support.
hindsight_test(gdb_packet_test SOURCES debugger/gdb_packet_test.cc DEPS debugger_gdb)
hindsight_test(gdb_agent_expression_test SOURCES debugger/gdb_agent_expression_test.cc DEPS debugger_gdb)
hindsight_test(gdb_stub_test SOURCES debugger/gdb_stub_test.cc DEPS debugger_gdb tests_debugger_support)
hindsight_test(gdb_server_test SOURCES debugger/gdb_server_test.cc DEPS debugger_gdb tests_debugger_support)
