# What differs between two machines or two recordings.
hindsight_test(diff_test SOURCES replay/diff_test.cc replay/field_diff_test.cc DEPS replay_diff)
