find_package(Zydis REQUIRED)
hindsight_test(x86_decode_test SOURCES x86/decode_test.cc x86/decode_peers.cc
  DEPS engine_guest_x86 Zydis::Zydis PkgConfig::capstone)
hindsight_test(x86_native_test SOURCES x86/native_test.cc x86/host_cpu.cc DEPS engine_guest_x86 engine_interp)
hindsight_test(x86_lift_test SOURCES x86/lift_test.cc DEPS engine_guest_x86)
hindsight_test(x86_decimal_test SOURCES x86/decimal_test.cc DEPS engine_guest_x86)
