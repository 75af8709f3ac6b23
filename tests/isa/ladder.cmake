# The differential ladder over generated instructions; its library serves tests/differential too.
hindsight_module(ladder_support
  SOURCES
    ../support/native_runner.cc
    ../support/window_memory.cc
    ladder_engines.cc
    ladder_generator.cc
    ladder_native.cc
    ladder_undefined.cc
  DEPS engine_guest_x86 engine_interp engine_host_x64 PkgConfig::capstone fmt::fmt)
hindsight_test(ladder_isa_test SOURCES ladder_isa_test.cc DEPS ladder_support)
