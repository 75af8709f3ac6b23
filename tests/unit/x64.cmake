# The x86-64 code generator: by hand, and random blocks against the interpreter.
hindsight_test(x64_code_generator_test
  SOURCES engine/x64_code_generator_test.cc engine/x64_machine.cc
  DEPS engine_host_x64 engine_ir)
hindsight_test(x64_random_test
  SOURCES engine/x64_random_test.cc engine/x64_random_block.cc engine/x64_machine.cc
  DEPS engine_host_x64 engine_interp engine_ir)

# The emitter, judged by another assembler and another decoder.
find_package(asmjit REQUIRED)
find_package(Zydis REQUIRED)
hindsight_test(x64_emitter_test SOURCES engine/x64_emitter_test.cc engine/x64_emitter_judge.cc
  DEPS engine_host_x64 asmjit::asmjit Zydis::Zydis fmt::fmt)
hindsight_test(x64_code_cache_test SOURCES engine/x64_code_cache_test.cc DEPS engine_host_x64)
