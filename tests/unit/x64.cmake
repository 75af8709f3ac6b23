# The x86-64 code generator: by hand, and random blocks against the interpreter.
hindsight_test(x64_code_generator_test
  SOURCES engine/x64_code_generator_test.cc engine/x64_machine.cc
  DEPS engine_host_x64 engine_ir)
hindsight_test(x64_random_test
  SOURCES engine/x64_random_test.cc engine/x64_random_block.cc engine/x64_machine.cc
  DEPS engine_host_x64 engine_interp engine_ir)
