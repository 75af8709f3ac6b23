// Where device registers are: memory-mapped ranges and port ranges. The run loop's thread only.
#pragma once

#include <map>
#include <string>

#include "engine/port/debug.h"
#include "engine/port/io.h"

namespace hindsight::engine::mmu {

/// Told of every access to a device register, a read after it, a write before it (the write may take the
/// device off the bus); `at` and `pc` are left to whoever stops there.
class IoObserver {
 public:
  virtual ~IoObserver() = default;
  virtual void device_accessed(const port::DeviceAccess& access) = 0;
};

class IoBus final : public port::IoBus {
 public:
  void map_mmio(std::string_view name, GuestPhys base, std::uint64_t size, port::IoHandler& handler) override;
  void unmap_mmio(GuestPhys base) override;
  void map_ports(std::string_view name, std::uint16_t base, std::uint16_t count,
                 port::IoHandler& handler) override;
  void unmap_ports(std::uint16_t base) override;

  /// At most one; borrowed. nullptr: none.
  void observe(IoObserver* observer) { observer_ = observer; }

  [[nodiscard]] std::uint64_t read_mmio(GuestPhys address, unsigned size);
  void write_mmio(GuestPhys address, unsigned size, std::uint64_t value);
  [[nodiscard]] std::uint32_t read_port(std::uint16_t port, unsigned size);
  void write_port(std::uint16_t port, unsigned size, std::uint32_t value);

 private:
  struct Range {
    std::string name;
    std::uint64_t size;
    port::IoHandler* handler;
  };
  using Space = std::map<std::uint64_t, Range>;
  struct Hit {
    port::IoHandler* handler;
    std::uint64_t offset;
    const std::string* name;
  };
  static void map(Space& space, std::string_view name, std::uint64_t base, std::uint64_t size,
                  port::IoHandler& handler);
  /// The handler of an access that lies wholly in its range; nullptr where nothing is mapped.
  [[nodiscard]] static Hit find(const Space& space, std::uint64_t address, unsigned size);

  void tell(const Hit& hit, bool port, std::uint64_t address, unsigned size, bool write,
            std::uint64_t value) const;

  Space mmio_, ports_;
  IoObserver* observer_ = nullptr;
};

}  // namespace hindsight::engine::mmu
