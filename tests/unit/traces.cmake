hindsight_test(trace_store_test SOURCES traces/trace_store_test.cc DEPS traces_store)
