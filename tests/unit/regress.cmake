# What the commands for regression tests do without a machine; the commands are tested in tests/replay.
hindsight_test(verify_report_test SOURCES cli/verify_report_test.cc DEPS debugger_cli)
hindsight_test(facts_test SOURCES debugger/facts_test.cc DEPS debugger_expect)
hindsight_test(rerun_test SOURCES replay/rerun_test.cc DEPS replay_rerun)
hindsight_test(rewrite_test SOURCES traces/rewrite_test.cc DEPS traces_store)
