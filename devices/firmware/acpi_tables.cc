#include "devices/firmware/acpi_tables.h"

#include <algorithm>
#include <numeric>
#include <string_view>

#include "devices/firmware/aml.h"
#include "devices/firmware/memory_map.h"
#include "devices/timer/acpi_pm.h"
#include "devices/timer/rtc.h"
#include "engine/base/little_endian.h"

namespace hindsight::devices::firmware {

namespace {

using aml::Bytes;
using timer::AcpiPm;

constexpr std::size_t kHeaderSize = 36;
constexpr std::uint32_t kIoApicBase = 0xFEC00000, kHpetBase = 0xFED00000, kLocalApicBase = 0xFEE00000;
constexpr unsigned kSciLine = 9;
constexpr std::uint16_t kCom1 = 0x3F8;

void put(Bytes& table, std::size_t offset, std::uint64_t value, unsigned size) {
  store_little_endian(std::span(table).subspan(offset, size), value);
}

void append(Bytes& table, std::uint64_t value, unsigned size) {
  table.resize(table.size() + size);
  put(table, table.size() - size, value, size);
}

void put_text(Bytes& table, std::size_t offset, std::string_view text) {
  std::copy(text.begin(), text.end(), table.begin() + static_cast<std::ptrdiff_t>(offset));
}

std::uint8_t checksum(const Bytes& bytes, std::size_t size) {
  return static_cast<std::uint8_t>(
      -std::accumulate(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size), 0));
}

/// A table that starts with the common header (5.2.6); seal() completes it.
Bytes table(std::string_view signature, std::uint8_t revision, std::size_t size = kHeaderSize) {
  Bytes out(size);
  put_text(out, 0, signature);
  out[8] = revision;
  put_text(out, 10, "HNDSGT");
  put_text(out, 16, "HINDSGHT");
  put(out, 24, 1, 4);
  put_text(out, 28, "HNDS");
  put(out, 32, 1, 4);
  return out;
}

Bytes seal(Bytes out) {
  put(out, 4, out.size(), 4);
  out[9] = 0;
  out[9] = checksum(out, out.size());
  return out;
}

/// Generic address structure (5.2.3.2).
void put_gas(Bytes& out, std::size_t offset, std::uint8_t space, std::uint8_t bits, std::uint8_t access,
             std::uint64_t address) {
  out[offset] = space;
  out[offset + 1] = bits;
  out[offset + 2] = 0;
  out[offset + 3] = access;
  put(out, offset + 4, address, 8);
}

constexpr std::uint8_t kSystemMemory = 0, kSystemIo = 1;

Bytes prt(bool apic) {
  std::vector<Bytes> entries;
  for (unsigned slot = 1; slot < 32; ++slot) {
    for (unsigned pin = 0; pin < 4; ++pin) {
      const std::uint32_t gsi = pci_gsi(slot, pin);
      entries.push_back(aml::package({aml::integer((slot << 16) | 0xFFFF), aml::integer(pin), aml::integer(0),
                                      aml::integer(apic ? gsi : pic_input_of_gsi(gsi))}));
    }
  }
  return aml::package(entries);
}

Bytes host_bridge(const AcpiConfig& config) {
  using namespace aml;
  const Window64 above = pci_window64(config.ram_size);
  const Bytes crs =
      resources({bus_window(0, 0), io_ports(0xCF8, 8), io_window(0x0000, 0x0CF7), io_window(0x0D00, 0xFFFF),
                 memory_window32(static_cast<std::uint32_t>(kPciWindowBase),
                                 static_cast<std::uint32_t>(kPciWindowEnd - 1)),
                 memory_window64(above.base, above.base + above.size - 1)});
  const Bytes rtc =
      device("RTC0", concat({name("_HID", eisa_id("PNP0B00")),
                             name("_CRS", resources({io_ports(timer::Rtc::kPortBase, 2), irq(8)}))}));
  const Bytes com1 = device(
      "COM1", concat({name("_HID", eisa_id("PNP0501")), name("_UID", integer(1)), name("_STA", integer(0x0F)),
                      name("_CRS", resources({io_ports(kCom1, 8), irq(4)}))}));
  const Bytes timer = device("TIMR", concat({name("_HID", eisa_id("PNP0100")),
                                             name("_CRS", resources({io_ports(0x40, 4), irq(0)}))}));
  // The rest of the board, so that nothing is placed over it.
  const Bytes motherboard = device(
      "MBRD",
      concat({name("_HID", eisa_id("PNP0C02")), name("_UID", integer(1)),
              name("_CRS", resources({io_ports(AcpiPm::kPortBase, AcpiPm::kPortCount), io_ports(0x4D0, 2),
                                      io_ports(0x61, 1), fixed_memory(kIoApicBase, 0x1000),
                                      fixed_memory(kLocalApicBase, 0x1000)}))}));
  const Bytes routing = method(
      "_PRT", 0, concat({if_then(path("\\PICF"), return_value(path("PRTA"))), return_value(path("PRTP"))}));
  return device("PCI0", concat({name("_HID", eisa_id("PNP0A03")), name("_UID", integer(0)),
                                name("_BBN", integer(0)), name("_CRS", crs), name("PRTA", prt(true)),
                                name("PRTP", prt(false)), routing, timer, rtc, com1, motherboard}));
}

Bytes dsdt(const AcpiConfig& config) {
  using namespace aml;
  Bytes out = table("DSDT", 2);
  Bytes processors;
  for (unsigned cpu = 0; cpu < config.cpus; ++cpu) {
    const char digit = "0123456789ABCDEF"[cpu & 15];
    processors =
        concat({processors, device(std::string("CPU") + digit,
                                   concat({name("_HID", string("ACPI0007")), name("_UID", integer(cpu))}))});
  }
  const Bytes hpet = device("HPET", concat({name("_HID", eisa_id("PNP0103")), name("_UID", integer(0)),
                                            name("_CRS", resources({fixed_memory(kHpetBase, 0x400)}))}));
  const Bytes soft_off = integer(AcpiPm::kSoftOff);
  const Bytes body = concat({name("PICF", integer(0)), method("_PIC", 1, store(argument(0), path("PICF"))),
                             name("_S5", package({soft_off, integer(0), integer(0), integer(0)})),
                             scope("\\_SB", concat({processors, hpet, host_bridge(config)}))});
  out.insert(out.end(), body.begin(), body.end());
  return seal(std::move(out));
}

Bytes facs() {
  Bytes out(64);
  put_text(out, 0, "FACS");
  put(out, 4, out.size(), 4);
  out[32] = 2;  // version
  return out;
}

Bytes fadt(std::uint64_t facs_address, std::uint64_t dsdt_address) {
  Bytes out = table("FACP", 6, 276);
  constexpr std::uint16_t event = AcpiPm::kPortBase + AcpiPm::kEventBlock;
  constexpr std::uint16_t control = AcpiPm::kPortBase + AcpiPm::kControlBlock;
  constexpr std::uint16_t counter = AcpiPm::kPortBase + AcpiPm::kTimerBlock;
  put(out, 36, facs_address, 4);
  put(out, 40, dsdt_address, 4);
  out[45] = 1;  // preferred profile: desktop
  put(out, 46, kSciLine, 2);
  put(out, 48, 0, 4);  // no SMI command port: ACPI mode is always on
  put(out, 56, event, 4);
  put(out, 64, control, 4);
  put(out, 76, counter, 4);
  out[88] = 4;
  out[89] = 2;
  out[91] = 4;
  put(out, 96, 101, 2);   // C2 not supported
  put(out, 98, 1001, 2);  // C3 not supported
  out[108] = timer::Rtc::kCentury;
  // IAPC_BOOT_ARCH (5.2.9.3): legacy devices, no 8042 that needs probing, no VGA.
  put(out, 109, 0x01 | 0x04, 2);
  // WBINVD, PROC_C1, no fixed power and sleep buttons, RTC wake not fixed, 32-bit timer, reset register.
  put(out, 112, (1U << 0) | (1U << 2) | (1U << 4) | (1U << 5) | (1U << 6) | (1U << 8) | (1U << 10), 4);
  put_gas(out, 116, kSystemIo, 8, 1, AcpiPm::kResetPort);
  out[128] = AcpiPm::kResetValue;
  out[131] = 4;  // minor version: 6.4
  // The same addresses again in the fields of ACPI 2.0 and later.
  put(out, 140, dsdt_address, 8);
  put_gas(out, 148, kSystemIo, 32, 2, event);
  put_gas(out, 172, kSystemIo, 16, 2, control);
  put_gas(out, 208, kSystemIo, 32, 3, counter);
  return seal(std::move(out));
}

Bytes madt(const AcpiConfig& config) {
  Bytes out = table("APIC", 5);
  append(out, kLocalApicBase, 4);
  append(out, 1, 4);  // PCAT_COMPAT: there are 8259s too
  for (unsigned cpu = 0; cpu < config.cpus; ++cpu) {
    append(out, 0x0800, 2);
    append(out, cpu, 1);
    append(out, cpu, 1);
    append(out, 1, 4);
  }
  append(out, 0x0C01, 2);  // I/O APIC 0 for lines 0 on
  append(out, 0, 2);
  append(out, kIoApicBase, 4);
  append(out, 0, 4);
  const auto source_override = [&out](unsigned irq, std::uint32_t gsi, unsigned flags) {
    append(out, 0x0A02, 2);
    append(out, 0, 1);
    append(out, irq, 1);
    append(out, gsi, 4);
    append(out, flags, 2);
  };
  source_override(0, 2, 0);
  source_override(kSciLine, kSciLine, 0x0D);  // active high, level-triggered
  append(out, 0x0604, 2);                     // LINT1 of every processor is NMI
  append(out, 0xFF, 1);
  append(out, 0, 2);
  append(out, 1, 1);
  return seal(std::move(out));
}

Bytes hpet_table() {
  Bytes out = table("HPET", 1, 56);
  put(out, 36, 0x8086A201, 4);  // the low half of the capabilities register
  put_gas(out, 40, kSystemMemory, 64, 0, kHpetBase);
  out[52] = 0;
  put(out, 53, 100, 2);  // shortest periodic interval in clocks
  return seal(std::move(out));
}

Bytes rsdp(std::uint64_t rsdt_address, std::uint64_t xsdt_address) {
  Bytes out(36);
  put_text(out, 0, "RSD PTR ");
  put_text(out, 9, "HNDSGT");
  out[15] = 2;
  put(out, 16, rsdt_address, 4);
  put(out, 20, out.size(), 4);
  put(out, 24, xsdt_address, 8);
  out[8] = checksum(out, 20);
  out[32] = checksum(out, out.size());
  return out;
}

}  // namespace

std::vector<std::uint8_t> build_acpi_tables(const AcpiConfig& config, GuestPhys base) {
  constexpr std::size_t kRsdpSpace = 64;
  Bytes image(kRsdpSpace);
  const auto place = [&image, base](const Bytes& part) {
    image.resize((image.size() + 63) / 64 * 64);  // the FACS must be aligned so
    const std::uint64_t address = base.value + image.size();
    image.insert(image.end(), part.begin(), part.end());
    return address;
  };
  const std::uint64_t facs_address = place(facs());
  const std::uint64_t dsdt_address = place(dsdt(config));
  std::vector<std::uint64_t> tables;
  tables.push_back(place(fadt(facs_address, dsdt_address)));
  tables.push_back(place(madt(config)));
  tables.push_back(place(hpet_table()));
  Bytes rsdt = table("RSDT", 1), xsdt = table("XSDT", 1);
  for (const std::uint64_t address : tables) {
    append(rsdt, address, 4);
    append(xsdt, address, 8);
  }
  const std::uint64_t rsdt_address = place(seal(std::move(rsdt)));
  const Bytes pointer = rsdp(rsdt_address, place(seal(std::move(xsdt))));
  std::copy(pointer.begin(), pointer.end(), image.begin());
  return image;
}

Result<GuestPhys> install_acpi_tables(const AcpiConfig& config, engine::port::GuestMemory& memory) {
  const GuestPhys base(kTablesBase);
  const std::vector<std::uint8_t> image = build_acpi_tables(config, base);
  if (image.size() > kTablesEnd - kTablesBase || !memory.write(base, image.data(), image.size())) {
    return error("the ACPI tables ({} bytes) do not fit at {:#x}", image.size(), base.value);
  }
  return base;
}

}  // namespace hindsight::devices::firmware
