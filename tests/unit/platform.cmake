# The PC platform devices. Every device test also runs the conformance suite of devices/conformance.h.
hindsight_test(intc_test SOURCES devices/intc_test.cc DEPS devices_intc tests_device_support)
hindsight_test(timer_test SOURCES devices/timer_test.cc DEPS devices_timer tests_device_support)
hindsight_test(serial_test SOURCES devices/serial_test.cc DEPS devices_serial tests_device_support)
hindsight_test(input_test SOURCES devices/input_test.cc DEPS devices_input tests_device_support)
hindsight_test(board_test SOURCES devices/board_test.cc DEPS devices_board tests_device_support)
hindsight_test(firmware_test SOURCES devices/firmware_test.cc DEPS devices_firmware tests_device_support)
