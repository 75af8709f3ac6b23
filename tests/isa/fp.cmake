# Floating point and vectors: the vector operations against their host encodings, x87 functions against libm.
hindsight_test(fp_vector_test SOURCES fp_vector_test.cc DEPS engine_interp engine_host_x64)
hindsight_test(fp_x87_test SOURCES fp_x87_test.cc DEPS engine_guest_x86)
