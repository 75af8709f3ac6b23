hindsight_module(tests_bare_machine SOURCES bare_machine.cc DEPS engine_exec engine_guest_x86 PkgConfig::capnp)
