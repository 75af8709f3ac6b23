# The x86 decoder and lifter.
hindsight_fuzzer(x86_decode_fuzz SOURCES x86_decode_fuzz.cc DEPS engine_guest_x86)
