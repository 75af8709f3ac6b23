# The PC platform devices. Every device test also runs the conformance suite of devices/conformance.h.
hindsight_test(intc_test SOURCES devices/intc_test.cc DEPS devices_intc tests_device_support)
