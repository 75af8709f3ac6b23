hindsight_test(record_replay_test SOURCES record_replay_test.cc DEPS replay_play replay_record)
hindsight_test(cli_test SOURCES cli_test.cc)
target_compile_definitions(cli_test PRIVATE HINDSIGHT_EXECUTABLE="$<TARGET_FILE:hindsight>")
add_dependencies(cli_test hindsight)
