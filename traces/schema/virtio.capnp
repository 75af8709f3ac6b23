@0xf61557a99bf290ab;
# The state of PCI and of the virtio devices. Fields are only ever added. Lists are written in full and in
# index order, so that two equal machines give equal messages.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("hindsight::traces::schema");

# One row of an MSI-X table (PCI Local Bus 3.0, 6.8.2).
struct MsixVectorState {
  addressLow @0 :UInt32;
  addressHigh @1 :UInt32;
  data @2 :UInt32;
  control @3 :UInt32;
  pending @4 :Bool;
}

# Configuration space and interrupt state of one function.
struct PciFunctionState {
  config @0 :List(UInt32);  # 64 registers; read-only bits are ignored on load
  msix @1 :List(MsixVectorState);
}

# The host bridge: configuration mechanism 1 and its own function.
struct PciHostState {
  configAddress @0 :UInt32;
  function @1 :PciFunctionState;
}

# A split virtqueue (virtio 1.2, 2.7) and what the PCI transport keeps for it.
struct VirtqueueState {
  size @0 :UInt16;
  enabled @1 :Bool;
  msixVector @2 :UInt16;
  descriptors @3 :UInt64;
  driverArea @4 :UInt64;
  deviceArea @5 :UInt64;
  lastAvailable @6 :UInt16;  # next entry of the available ring to take
  usedIndex @7 :UInt16;      # next entry of the used ring to fill
  signalledUsed @8 :UInt16;  # usedIndex when the driver was last considered for an interrupt
}

# The virtio PCI transport (virtio 1.2, 4.1): configuration space and the common structure.
struct VirtioTransportState {
  function @0 :PciFunctionState;
  status @1 :UInt8;
  isr @2 :UInt8;
  deviceFeatureSelect @3 :UInt32;
  driverFeatureSelect @4 :UInt32;
  driverFeatures @5 :UInt64;
  configMsixVector @6 :UInt16;
  queueSelect @7 :UInt16;
  queues @8 :List(VirtqueueState);
}

# 4 KiB of a disk that differ from the base image; no data means all zeros.
struct DiskPageState {
  index @0 :UInt64;
  data @1 :Data;
}

struct VirtioBlockState {
  transport @0 :VirtioTransportState;
  overlay @1 :List(DiskPageState);  # ascending index
}

struct VirtioNetState {
  transport @0 :VirtioTransportState;
  received @1 :List(Data);  # frames that wait for a receive buffer, oldest first
}

struct VirtioEntropyState {
  transport @0 :VirtioTransportState;
}

struct VirtioConsoleState {
  transport @0 :VirtioTransportState;
  received @1 :Data;  # bytes that wait for a receive buffer
}
