hindsight_module(tests_device_support SOURCES device_world.cc sample_kernels.cc device_exercise.cc
                 DEPS engine_port engine_base PkgConfig::capnp)
