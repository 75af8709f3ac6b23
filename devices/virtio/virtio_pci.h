// The virtio PCI transport, modern only (virtio 1.2, 4.1): one BAR with the common, ISR, device and
// notification structures and the MSI-X table, plus the configuration access window. A device model
// implements VirtioModel and owns one VirtioPci. The run loop's thread only. Requests are processed
// synchronously inside the guest's notification, and their interrupts are raised there, so that every effect
// has the Icount of the access that caused it.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "devices/pci/pci_bus.h"
#include "devices/pci/pci_device.h"
#include "devices/pci/pci_function.h"
#include "devices/virtio/virtqueue.h"
#include "engine/port/io.h"
#include "traces/schema/virtio.capnp.h"

namespace hindsight::devices::virtio {

/// Device types (virtio 1.2, 5).
enum class DeviceType : std::uint16_t { network = 1, block = 2, console = 3, entropy = 4 };

/// Where the devices sit on bus 0.
constexpr unsigned kBlockSlot = 1;
constexpr unsigned kNetSlot = 2;
constexpr unsigned kEntropySlot = 3;
constexpr unsigned kConsoleSlot = 4;

constexpr std::uint64_t feature_bit(unsigned bit) { return std::uint64_t{1} << bit; }
constexpr std::uint64_t kFeatureIndirect = feature_bit(28);
constexpr std::uint64_t kFeatureEventIndex = feature_bit(29);
constexpr std::uint64_t kFeatureVersion1 = feature_bit(32);

/// Device status bits (virtio 1.2, 2.1).
constexpr std::uint8_t kStatusAcknowledge = 1;
constexpr std::uint8_t kStatusDriver = 2;
constexpr std::uint8_t kStatusDriverOk = 4;
constexpr std::uint8_t kStatusFeaturesOk = 8;
constexpr std::uint8_t kStatusNeedsReset = 64;
constexpr std::uint8_t kStatusFailed = 128;

/// What a device type adds to the transport. The transport calls it; it calls the transport's queue
/// operations.
class VirtioModel {
 public:
  virtual ~VirtioModel() = default;
  /// Feature bits of the device type; the transport adds its own.
  [[nodiscard]] virtual std::uint64_t device_features() const = 0;
  /// The device configuration structure, read-only for the driver.
  [[nodiscard]] virtual std::span<const std::byte> device_config() const = 0;
  /// The driver made buffers available in `queue`, or the device has just been started.
  virtual void process(unsigned queue) = 0;
  /// The driver reset the device: forget what waits.
  virtual void device_reset() = 0;
};

/// Offsets of the structures in BAR 0; each has a page of its own, so that a hypervisor could map them apart.
constexpr std::uint64_t kCommonOffset = 0x0000;
constexpr std::uint64_t kIsrOffset = 0x1000;
constexpr std::uint64_t kDeviceOffset = 0x2000;
constexpr std::uint64_t kNotifyOffset = 0x3000;
constexpr std::uint64_t kMsixTableOffset = 0x4000;
constexpr std::uint64_t kMsixPendingOffset = 0x5000;
constexpr std::uint64_t kBarSize = 0x8000;
constexpr std::uint32_t kNotifyMultiplier = 4;

class VirtioPci final : public pci::PciDevice, public engine::port::IoHandler {
 public:
  /// Attaches itself to `slot`. `name` names the BAR and lives as long as the device.
  VirtioPci(pci::PciBus& bus, unsigned slot, std::string_view name, DeviceType type, std::uint32_t class_code,
            std::span<const std::uint16_t> queue_sizes, engine::port::GuestMemory& memory,
            VirtioModel& model);
  ~VirtioPci() override;

  // For the model.
  [[nodiscard]] bool has_feature(std::uint64_t bits) const { return (driver_features_ & bits) == bits; }
  /// Whether the driver has started the device and the device may use memory.
  [[nodiscard]] bool running() const;
  /// Takes one chain from a queue; false if there is none or the device is not running. A broken ring stops
  /// the device.
  [[nodiscard]] bool take(unsigned queue, Chain& out);
  /// Gives it back with the number of bytes written to its buffers.
  void give(unsigned queue, const Chain& chain, std::uint32_t written);
  /// How many chains wait; call once before a loop of take: what a request's own DMA does to the ring must
  /// not keep the loop going.
  [[nodiscard]] unsigned waiting(unsigned queue);
  /// Ends a batch of take/give: asks for notifications and interrupts the driver if it wants to be.
  void finish(unsigned queue);
  /// A broken ring or buffer: sets DEVICE_NEEDS_RESET and does nothing more until the driver resets (2.1.2).
  void fail(std::string_view why);
  [[nodiscard]] engine::port::GuestMemory& memory() const { return memory_; }

  // pci::PciDevice.
  std::uint32_t config_read(unsigned offset, unsigned size) override;
  void config_write(unsigned offset, unsigned size, std::uint32_t value) override;
  [[nodiscard]] std::uint32_t config_peek(unsigned offset, unsigned size) const override;
  [[nodiscard]] std::span<const pci::MemoryBar> memory_bars() const override {
    return function_.memory_bars();
  }
  void reset() override;

  // engine::port::IoHandler: BAR 0.
  std::uint64_t read(std::uint64_t offset, unsigned size) override;
  void write(std::uint64_t offset, unsigned size, std::uint64_t value) override;
  [[nodiscard]] std::uint64_t peek(std::uint64_t offset, unsigned size) const override;

  void save(traces::schema::VirtioTransportState::Builder out) const;
  void load(traces::schema::VirtioTransportState::Reader in);

 private:
  void add_capabilities();
  [[nodiscard]] std::uint64_t offered_features() const;
  void reset_device();
  void write_status(std::uint8_t value);
  void write_common(std::uint64_t offset, unsigned size, std::uint64_t value);
  void write_queue(std::uint64_t offset, unsigned size, std::uint64_t value);
  void enable_queue(Virtqueue& queue);
  void apply_features();
  void notify(unsigned queue);
  void raise_queue_interrupt(const Virtqueue& queue);
  void raise_config_interrupt();
  [[nodiscard]] std::uint16_t checked_vector(std::uint64_t value) const;
  struct WindowAccess {
    std::uint64_t offset;
    unsigned size;
  };
  [[nodiscard]] bool window_access(unsigned offset, unsigned size, WindowAccess& out) const;

  std::string_view name_;
  engine::port::GuestMemory& memory_;
  VirtioModel& model_;
  pci::PciBus& bus_;
  unsigned slot_;
  pci::PciFunction function_;
  unsigned window_capability_ = 0;
  std::vector<Virtqueue> queues_;
  std::uint8_t status_ = 0;
  std::uint8_t isr_ = 0;
  std::uint32_t device_feature_select_ = 0;
  std::uint32_t driver_feature_select_ = 0;
  std::uint64_t driver_features_ = 0;
  std::uint16_t config_vector_ = kNoVector;
  std::uint16_t queue_select_ = 0;
};

}  // namespace hindsight::devices::virtio
