#include "devices/virtio/virtio_pci.h"

#include <algorithm>
#include <array>
#include <bit>

#include "engine/base/little_endian.h"
#include "engine/base/log.h"

namespace hindsight::devices::virtio {
namespace {

constexpr std::uint16_t kVendor = 0x1AF4;
constexpr std::uint16_t kDeviceBase = 0x1040;  // virtio 1.2, 4.1.2: plus the device type

// Capability types (4.1.4).
constexpr std::uint8_t kCapabilityVendor = 0x09;
constexpr std::uint8_t kCapCommon = 1;
constexpr std::uint8_t kCapNotify = 2;
constexpr std::uint8_t kCapIsr = 3;
constexpr std::uint8_t kCapDevice = 4;
constexpr std::uint8_t kCapPciAccess = 5;

// The common configuration structure (4.1.4.3).
constexpr std::uint64_t kCommonSize = 56;
constexpr std::uint64_t kDeviceFeatureSelect = 0;
constexpr std::uint64_t kDeviceFeature = 4;
constexpr std::uint64_t kDriverFeatureSelect = 8;
constexpr std::uint64_t kDriverFeature = 12;
constexpr std::uint64_t kConfigVector = 16;
constexpr std::uint64_t kNumQueues = 18;
constexpr std::uint64_t kDeviceStatus = 20;
constexpr std::uint64_t kQueueSelect = 22;
constexpr std::uint64_t kQueueSize = 24;
constexpr std::uint64_t kQueueVector = 26;
constexpr std::uint64_t kQueueEnable = 28;
constexpr std::uint64_t kQueueNotifyOffset = 30;
constexpr std::uint64_t kQueueDescriptors = 32;
constexpr std::uint64_t kQueueDriver = 40;
constexpr std::uint64_t kQueueDevice = 48;

constexpr std::uint8_t kIsrQueue = 1;
constexpr std::uint8_t kIsrConfig = 2;

// Fields of the configuration access capability, from its start (4.1.4.9).
constexpr unsigned kWindowBar = 4;
constexpr unsigned kWindowOffset = 8;
constexpr unsigned kWindowLength = 12;
constexpr unsigned kWindowData = 16;

using Bytes16 = std::array<std::uint8_t, 18>;

// struct virtio_pci_cap without its first two bytes (id, next); `length` covers `size` bytes of the BAR.
Bytes16 capability_body(std::uint8_t cap_len, std::uint8_t type, std::uint64_t offset, std::uint64_t size) {
  Bytes16 body{};
  body[0] = cap_len;
  body[1] = type;
  store_little_endian(std::span(body).subspan(6, 4), offset);
  store_little_endian(std::span(body).subspan(10, 4), size);
  return body;
}

template <std::size_t N>
void put(std::array<std::uint8_t, N>& bytes, std::uint64_t at, unsigned size, std::uint64_t value) {
  store_little_endian(std::span(bytes).subspan(at, size), value);
}

/// The bytes that an access of `size` at `offset` reads; those beyond the end are 0.
template <class Byte>
std::uint64_t load_part(std::span<const Byte> bytes, std::uint64_t offset, unsigned size) {
  const std::size_t begin = std::min<std::size_t>(offset, bytes.size());
  return load_little_endian(bytes.subspan(begin, std::min<std::size_t>(size, bytes.size() - begin)));
}

// Replaces the half of a 64-bit field that a 4-byte access names, or all of it.
void merge64(std::uint64_t& field, std::uint64_t offset_in_field, unsigned size, std::uint64_t value) {
  if (size == 8 && offset_in_field == 0) field = value;
  if (size != 4) return;
  const unsigned shift = offset_in_field == 0 ? 0 : 32;
  field = (field & ~(std::uint64_t{0xFFFFFFFF} << shift)) | (value & 0xFFFFFFFF) << shift;
}

}  // namespace

VirtioPci::VirtioPci(pci::PciBus& bus, unsigned slot, std::string_view name, DeviceType type,
                     std::uint32_t class_code, std::span<const std::uint16_t> queue_sizes,
                     engine::port::GuestMemory& memory, VirtioModel& model)
    : name_(name),
      memory_(memory),
      model_(model),
      bus_(bus),
      slot_(slot),
      function_(bus, slot,
                {.vendor = kVendor,
                 .device = static_cast<std::uint16_t>(kDeviceBase + static_cast<std::uint16_t>(type)),
                 .subsystem_vendor = kVendor,
                 .subsystem = 0x40,  // at least 0x40 for a device that is not transitional (4.1.2.1)
                 .class_code = class_code,
                 .revision = 1,
                 .intx = true}) {
  for (const std::uint16_t size : queue_sizes) queues_.emplace_back(memory, size);
  add_capabilities();
  bus_.attach(slot_, *this);
}

VirtioPci::~VirtioPci() { bus_.detach(slot_); }

void VirtioPci::add_capabilities() {
  function_.add_bar(0, name_, kBarSize, *this);
  const auto add = [this](std::uint8_t type, std::uint64_t offset, std::uint64_t size) {
    const Bytes16 body = capability_body(16, type, offset, size);
    function_.add_capability(kCapabilityVendor, std::span(body).first(14));
  };
  add(kCapCommon, kCommonOffset, kCommonSize);
  add(kCapIsr, kIsrOffset, 1);
  if (!model_.device_config().empty()) add(kCapDevice, kDeviceOffset, model_.device_config().size());
  Bytes16 notify_body = capability_body(20, kCapNotify, kNotifyOffset, kNotifyMultiplier * queues_.size());
  put(notify_body, 14, 4, kNotifyMultiplier);
  function_.add_capability(kCapabilityVendor, notify_body);
  const Bytes16 window_body = capability_body(20, kCapPciAccess, 0, 0);
  Bytes16 window_writable{};
  put(window_writable, 2, 1, 0xFF);               // bar
  put(window_writable, 6, 8, ~std::uint64_t{0});  // offset and length
  window_capability_ = function_.add_capability(kCapabilityVendor, window_body, window_writable);
  // One vector for configuration changes and one per queue.
  function_.add_msix(static_cast<unsigned>(queues_.size()) + 1, 0, kMsixTableOffset, kMsixPendingOffset);
}

std::uint64_t VirtioPci::offered_features() const {
  return model_.device_features() | kFeatureVersion1 | kFeatureIndirect | kFeatureEventIndex;
}

bool VirtioPci::running() const {
  return (status_ & (kStatusDriverOk | kStatusNeedsReset)) == kStatusDriverOk && function_.bus_master();
}

bool VirtioPci::take(unsigned queue, Chain& out) {
  if (!running() || !queues_[queue].enabled) return false;
  switch (queues_[queue].pop(out)) {
    case Virtqueue::Pop::empty:
      return false;
    case Virtqueue::Pop::chain:
      return true;
    case Virtqueue::Pop::broken:
      break;
  }
  fail("broken ring");
  return false;
}

void VirtioPci::give(unsigned queue, const Chain& chain, std::uint32_t written) {
  if (running() && !queues_[queue].push(chain.head, written)) fail("used ring is not in memory");
}

unsigned VirtioPci::waiting(unsigned queue) {
  if (!running()) return 0;
  const std::optional<unsigned> count = queues_[queue].available();
  if (!count) fail("broken available index");
  return count.value_or(0);
}

void VirtioPci::finish(unsigned queue) {
  if (!running() || !queues_[queue].enabled) return;
  if (!queues_[queue].request_notification()) return fail("used ring is not in memory");
  if (queues_[queue].interrupt_wanted()) raise_queue_interrupt(queues_[queue]);
}

void VirtioPci::fail(std::string_view why) {
  if ((status_ & kStatusNeedsReset) != 0) return;
  log::info("virtio", "{}: {}; the device needs a reset", name_, why);
  status_ |= kStatusNeedsReset;
  if ((status_ & kStatusDriverOk) != 0) raise_config_interrupt();
}

void VirtioPci::raise_queue_interrupt(const Virtqueue& queue) {
  if (function_.msix_enabled()) {
    function_.send_msix(queue.msix_vector);  // kNoVector is beyond the table
    return;
  }
  isr_ |= kIsrQueue;
  function_.set_interrupt(true);
}

void VirtioPci::raise_config_interrupt() {
  if (function_.msix_enabled()) {
    function_.send_msix(config_vector_);
    return;
  }
  isr_ |= kIsrConfig;
  function_.set_interrupt(true);
}

void VirtioPci::notify(unsigned queue) {
  if (queue < queues_.size() && queues_[queue].enabled && running()) model_.process(queue);
}

void VirtioPci::reset_device() {
  status_ = 0;
  isr_ = 0;
  device_feature_select_ = driver_feature_select_ = 0;
  driver_features_ = 0;
  config_vector_ = kNoVector;
  queue_select_ = 0;
  for (Virtqueue& queue : queues_) queue.reset();
  function_.set_interrupt(false);
  model_.device_reset();
}

void VirtioPci::reset() {
  reset_device();
  function_.reset();
}

void VirtioPci::apply_features() {
  for (Virtqueue& queue : queues_)
    queue.use_features(has_feature(kFeatureIndirect), has_feature(kFeatureEventIndex));
}

void VirtioPci::write_status(std::uint8_t value) {
  if (value == 0) return reset_device();
  const std::uint8_t before = status_;
  // The driver never clears bits except by a reset (2.1.1); NEEDS_RESET is the device's own.
  status_ |= static_cast<std::uint8_t>(value & ~kStatusNeedsReset);
  if ((before & kStatusFeaturesOk) == 0 && (status_ & kStatusFeaturesOk) != 0) {
    const bool acceptable = (driver_features_ & ~offered_features()) == 0 && has_feature(kFeatureVersion1);
    if (!acceptable) status_ &= static_cast<std::uint8_t>(~kStatusFeaturesOk);
    apply_features();
  }
  // A driver that goes on without FEATURES_OK is not started (2.2.2).
  if ((status_ & kStatusFeaturesOk) == 0) status_ &= static_cast<std::uint8_t>(~kStatusDriverOk);
  if ((before & kStatusDriverOk) == 0 && (status_ & kStatusDriverOk) != 0)
    for (unsigned queue = 0; queue < queues_.size(); ++queue) notify(queue);
}

std::uint16_t VirtioPci::checked_vector(std::uint64_t value) const {
  return value < function_.msix_vectors() ? static_cast<std::uint16_t>(value) : kNoVector;
}

void VirtioPci::write_common(std::uint64_t offset, unsigned size, std::uint64_t value) {
  if (offset >= kQueueSize) return write_queue(offset, size, value);
  // Each field is accessed with its own width (4.1.3.1); anything else is dropped.
  if (offset == kDeviceFeatureSelect && size == 4) device_feature_select_ = static_cast<std::uint32_t>(value);
  if (offset == kDriverFeatureSelect && size == 4) driver_feature_select_ = static_cast<std::uint32_t>(value);
  if (offset == kDriverFeature && size == 4 && driver_feature_select_ < 2 &&
      (status_ & kStatusFeaturesOk) == 0)
    merge64(driver_features_, 4 * driver_feature_select_, 4, value);
  if (offset == kConfigVector && size == 2) config_vector_ = checked_vector(value);
  if (offset == kDeviceStatus && size == 1) write_status(static_cast<std::uint8_t>(value));
  if (offset == kQueueSelect && size == 2) queue_select_ = static_cast<std::uint16_t>(value);
}

void VirtioPci::write_queue(std::uint64_t offset, unsigned size, std::uint64_t value) {
  if (queue_select_ >= queues_.size()) return;
  Virtqueue& queue = queues_[queue_select_];
  if (offset == kQueueVector && size == 2) queue.msix_vector = checked_vector(value);
  if (queue.enabled) return;
  if (offset == kQueueSize && size == 2 && value <= queue.max_size() && std::has_single_bit(value))
    queue.size = static_cast<std::uint16_t>(value);
  if (offset == kQueueEnable && size == 2 && value == 1) enable_queue(queue);
  if (offset >= kQueueDescriptors && offset < kQueueDriver)
    merge64(queue.descriptors, offset - kQueueDescriptors, size, value);
  if (offset >= kQueueDriver && offset < kQueueDevice)
    merge64(queue.driver_area, offset - kQueueDriver, size, value);
  if (offset >= kQueueDevice && offset < kCommonSize)
    merge64(queue.device_area, offset - kQueueDevice, size, value);
}

void VirtioPci::enable_queue(Virtqueue& queue) {
  if (!queue.enable()) fail("queue is misaligned or not in memory");
}

std::uint64_t VirtioPci::peek(std::uint64_t offset, unsigned size) const {
  const std::uint64_t within = offset & 0xFFF;
  if (offset >= kMsixPendingOffset) {
    return offset < kMsixPendingOffset + 0x1000 ? function_.msix_pending_read(within, size) : 0;
  }
  if (offset >= kMsixTableOffset) return function_.msix_table_read(within, size);
  if (offset >= kNotifyOffset) return 0;
  if (offset >= kDeviceOffset) {
    const std::span<const std::byte> config = model_.device_config();
    return load_part(config, within, size);
  }
  if (offset >= kIsrOffset) return within == 0 ? isr_ : 0;

  std::array<std::uint8_t, kCommonSize> common{};
  put(common, kDeviceFeatureSelect, 4, device_feature_select_);
  if (device_feature_select_ < 2)
    put(common, kDeviceFeature, 4, offered_features() >> (32 * device_feature_select_));
  put(common, kDriverFeatureSelect, 4, driver_feature_select_);
  if (driver_feature_select_ < 2)
    put(common, kDriverFeature, 4, driver_features_ >> (32 * driver_feature_select_));
  put(common, kConfigVector, 2, config_vector_);
  put(common, kNumQueues, 2, queues_.size());
  put(common, kDeviceStatus, 1, status_);
  put(common, kQueueSelect, 2, queue_select_);
  // Configuration never changes while the device runs: the generation at 21 stays 0.
  // A queue that does not exist reads as size 0 (4.1.4.3.1).
  if (queue_select_ < queues_.size()) {
    const Virtqueue& queue = queues_[queue_select_];
    put(common, kQueueSize, 2, queue.size);
    put(common, kQueueVector, 2, queue.msix_vector);
    put(common, kQueueEnable, 2, queue.enabled ? 1 : 0);
    put(common, kQueueNotifyOffset, 2, queue_select_);
    put(common, kQueueDescriptors, 8, queue.descriptors);
    put(common, kQueueDriver, 8, queue.driver_area);
    put(common, kQueueDevice, 8, queue.device_area);
  }
  return load_part(std::span<const std::uint8_t>(common), within, size);
}

std::uint64_t VirtioPci::read(std::uint64_t offset, unsigned size) {
  const std::uint64_t value = peek(offset, size);
  if (offset == kIsrOffset) {
    // Reading acknowledges (4.1.4.5).
    isr_ = 0;
    function_.set_interrupt(false);
  }
  return value;
}

void VirtioPci::write(std::uint64_t offset, unsigned size, std::uint64_t value) {
  if (offset < kCommonSize) {
    write_common(offset, size, value);
  } else if (offset >= kNotifyOffset && offset < kNotifyOffset + kNotifyMultiplier * queues_.size()) {
    if (offset % kNotifyMultiplier == 0)
      notify(static_cast<unsigned>((offset - kNotifyOffset) / kNotifyMultiplier));
  } else if (offset >= kMsixTableOffset && offset < kMsixPendingOffset) {
    function_.msix_table_write(offset - kMsixTableOffset, size, value);
  }
}

// Whether a configuration access is to the data field of the access window, and what it then means in BAR 0.
bool VirtioPci::window_access(unsigned offset, unsigned size, WindowAccess& out) const {
  if (offset != window_capability_ + kWindowData) return false;
  const std::uint32_t length = function_.config_read(window_capability_ + kWindowLength, 4);
  out.offset = function_.config_read(window_capability_ + kWindowOffset, 4);
  out.size = length;
  const bool sized = length == 1 || length == 2 || length == 4;
  return function_.config_read(window_capability_ + kWindowBar, 1) == 0 && sized && length <= size &&
         out.offset % length == 0 && out.offset < kBarSize;
}

std::uint32_t VirtioPci::config_read(unsigned offset, unsigned size) {
  WindowAccess access{};
  if (window_access(offset, size, access))
    return static_cast<std::uint32_t>(read(access.offset, access.size));
  return function_.config_read(offset, size);
}

std::uint32_t VirtioPci::config_peek(unsigned offset, unsigned size) const {
  WindowAccess access{};
  if (window_access(offset, size, access))
    return static_cast<std::uint32_t>(peek(access.offset, access.size));
  return function_.config_read(offset, size);
}

void VirtioPci::config_write(unsigned offset, unsigned size, std::uint32_t value) {
  WindowAccess access{};
  if (window_access(offset, size, access)) {
    const std::uint64_t mask = (std::uint64_t{1} << (8 * access.size)) - 1;
    return write(access.offset, access.size, value & mask);
  }
  function_.config_write(offset, size, value);
}

void VirtioPci::save(traces::schema::VirtioTransportState::Builder out) const {
  function_.save(out.initFunction());
  out.setStatus(status_);
  out.setIsr(isr_);
  out.setDeviceFeatureSelect(device_feature_select_);
  out.setDriverFeatureSelect(driver_feature_select_);
  out.setDriverFeatures(driver_features_);
  out.setConfigMsixVector(config_vector_);
  out.setQueueSelect(queue_select_);
  auto queues = out.initQueues(static_cast<unsigned>(queues_.size()));
  for (unsigned i = 0; i < queues_.size(); ++i) queues_[i].save(queues[i]);
}

void VirtioPci::load(traces::schema::VirtioTransportState::Reader in) {
  status_ = in.getStatus();
  isr_ = in.getIsr() & (kIsrQueue | kIsrConfig);
  device_feature_select_ = in.getDeviceFeatureSelect();
  driver_feature_select_ = in.getDriverFeatureSelect();
  driver_features_ = in.getDriverFeatures();
  config_vector_ = checked_vector(in.getConfigMsixVector());
  queue_select_ = in.getQueueSelect();
  const auto queues = in.getQueues();
  for (unsigned i = 0; i < queues_.size(); ++i) {
    queues_[i].reset();
    if (i < queues.size()) queues_[i].load(queues[i]);
    queues_[i].msix_vector = checked_vector(queues_[i].msix_vector);
  }
  if ((status_ & kStatusFeaturesOk) != 0) apply_features();
  function_.load(in.getFunction(), isr_ != 0);
}

}  // namespace hindsight::devices::virtio
