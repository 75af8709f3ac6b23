# The platform devices as an ill-meaning guest uses them, and kernels and console scripts from anyone.
hindsight_fuzzer(platform_device_fuzz SOURCES platform_device_fuzz.cc DEPS devices_board tests_device_support)
hindsight_fuzzer(linux_boot_fuzz SOURCES linux_boot_fuzz.cc DEPS devices_firmware tests_device_support)
hindsight_fuzzer(console_script_fuzz SOURCES console_script_fuzz.cc DEPS devices_hostio)
