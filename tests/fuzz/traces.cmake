# Traces from anyone.
hindsight_fuzzer(trace_reader_fuzz SOURCES trace_reader_fuzz.cc DEPS traces_store)
