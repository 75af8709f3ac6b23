# PCI, the virtio devices and the live host.
foreach(name pci virtio_transport virtio_devices)
  hindsight_test(${name}_test SOURCES devices/${name}_test.cc DEPS devices_virtio tests_device_support)
endforeach()
foreach(name hostio slirp)
  hindsight_test(${name}_test SOURCES devices/${name}_test.cc DEPS devices_hostio)
endforeach()
