# The PC platform devices. Every device test also runs the conformance suite of devices/conformance.h.
