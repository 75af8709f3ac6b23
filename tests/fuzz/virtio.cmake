# Virtqueues and PCI configuration.
hindsight_module(tests_device_fuzz SOURCES device_fuzz.cc DEPS devices_virtio tests_device_support)
foreach(name virtqueue pci_config)
  hindsight_fuzzer(${name}_fuzz SOURCES ${name}_fuzz.cc DEPS tests_device_fuzz)
endforeach()
