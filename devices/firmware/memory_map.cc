#include "devices/firmware/memory_map.h"

namespace hindsight::devices::firmware {

std::vector<E820Entry> e820_map(std::uint64_t ram_size) {
  const RamLayout ram = ram_layout(ram_size);
  std::vector<E820Entry> map{
      {0, kConventionalEnd, E820Type::usable},
      {kConventionalEnd, kReservedEnd - kConventionalEnd, E820Type::reserved},
  };
  if (ram.low > kReservedEnd) map.push_back({kReservedEnd, ram.low - kReservedEnd, E820Type::usable});
  // The registers of I/O APIC, HPET and local APIC.
  map.push_back({kPciWindowEnd, kHighRamBase - kPciWindowEnd, E820Type::reserved});
  if (ram.high != 0) map.push_back({kHighRamBase, ram.high, E820Type::usable});
  return map;
}

}  // namespace hindsight::devices::firmware
