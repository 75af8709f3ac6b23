# Guest programs on the engine's machine without a board, on both engines.
find_package(asmjit REQUIRED)
hindsight_test(interrupt_shadow_test SOURCES interrupt_shadow_test.cc DEPS tests_bare_machine asmjit::asmjit)
hindsight_test(refused_sources_test SOURCES refused_sources_test.cc DEPS tests_bare_machine asmjit::asmjit)
hindsight_test(data_breakpoints_test SOURCES data_breakpoints_test.cc DEPS tests_bare_machine asmjit::asmjit)
hindsight_test(observation_test SOURCES observation_test.cc DEPS tests_bare_machine asmjit::asmjit)
