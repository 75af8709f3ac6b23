# A guest kernel's memory, sound or not.
hindsight_fuzzer(kernel_memory_fuzz SOURCES kernel_memory_fuzz.cc DEPS debugger_symbols support_symbols)
