// A small encoder of ACPI Machine Language: ACPI specification 6.4, chapter 20 (AML) and 6.4 (resource data
// types). Every function returns the bytes of one term; terms nest by concatenation. Pure functions; any
// thread.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <vector>

namespace hindsight::devices::firmware::aml {

using Bytes = std::vector<std::uint8_t>;

[[nodiscard]] Bytes concat(std::initializer_list<Bytes> parts);
/// "\\_SB.PCI0", "PICF", "_HID": segments of up to four characters, padded with underscores.
[[nodiscard]] Bytes path(std::string_view name);
[[nodiscard]] Bytes integer(std::uint64_t value);
[[nodiscard]] Bytes string(std::string_view text);
/// "PNP0A03" in its compressed form (19.3.4).
[[nodiscard]] Bytes eisa_id(std::string_view id);
[[nodiscard]] Bytes buffer(const Bytes& contents);
/// At most 255 elements.
[[nodiscard]] Bytes package(const std::vector<Bytes>& elements);

[[nodiscard]] Bytes name(std::string_view name, const Bytes& value);
[[nodiscard]] Bytes scope(std::string_view name, const Bytes& body);
[[nodiscard]] Bytes device(std::string_view name, const Bytes& body);
[[nodiscard]] Bytes method(std::string_view name, unsigned arguments, const Bytes& body);
[[nodiscard]] Bytes store(const Bytes& value, const Bytes& target);
[[nodiscard]] Bytes if_then(const Bytes& condition, const Bytes& body);
[[nodiscard]] Bytes return_value(const Bytes& value);
[[nodiscard]] Bytes argument(unsigned index);

/// A resource template: descriptors, then the end tag, in a buffer.
[[nodiscard]] Bytes resources(std::initializer_list<Bytes> descriptors);
[[nodiscard]] Bytes io_ports(std::uint16_t base, std::uint8_t count);
/// Edge-triggered, active high, exclusive.
[[nodiscard]] Bytes irq(unsigned line);
[[nodiscard]] Bytes fixed_memory(std::uint32_t base, std::uint32_t size);
// Windows that a bridge produces, both ends included.
[[nodiscard]] Bytes bus_window(std::uint16_t first, std::uint16_t last);
[[nodiscard]] Bytes io_window(std::uint16_t first, std::uint16_t last);
[[nodiscard]] Bytes memory_window32(std::uint32_t first, std::uint32_t last);
[[nodiscard]] Bytes memory_window64(std::uint64_t first, std::uint64_t last);

}  // namespace hindsight::devices::firmware::aml
