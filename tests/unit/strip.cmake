# Taking user data out of a trace: which pieces, and what stands in for them.
hindsight_test(strip_search_test SOURCES replay/strip_search_test.cc DEPS replay_strip)
hindsight_test(strip_data_test SOURCES replay/strip_data_test.cc DEPS replay_strip)
