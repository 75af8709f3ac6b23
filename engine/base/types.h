// Strong types for the quantities that cross interfaces. Trivial values; any thread.
#pragma once

#include <compare>
#include <cstdint>
#include <limits>

namespace hindsight {

/// An integer that means one thing. Tag makes the types distinct; Rep is what is stored.
template <class Tag, class Rep = std::uint64_t>
struct Strong {
  Rep value{};

  constexpr Strong() = default;
  constexpr explicit Strong(Rep v) : value(v) {}
  friend constexpr auto operator<=>(Strong, Strong) = default;
  constexpr Strong operator+(Rep delta) const { return Strong(static_cast<Rep>(value + delta)); }
  constexpr Strong operator-(Rep delta) const { return Strong(static_cast<Rep>(value - delta)); }
  constexpr Rep operator-(Strong other) const { return static_cast<Rep>(value - other.value); }
  constexpr Strong& operator+=(Rep delta) {
    value = static_cast<Rep>(value + delta);
    return *this;
  }
  static constexpr Strong max() { return Strong(std::numeric_limits<Rep>::max()); }
};

/// A guest-physical byte address.
using GuestPhys = Strong<struct GuestPhysTag>;
/// A guest-virtual (after segmentation: linear) byte address.
using GuestVirt = Strong<struct GuestVirtTag>;
/// Guest instructions retired by the whole machine since power-on.
using Icount = Strong<struct IcountTag>;
/// Virtual nanoseconds since power-on: a function of Icount plus recorded warps.
using VirtualTime = Strong<struct VirtualTimeTag>;
/// An input line of the board's interrupt fabric (a global system interrupt number on the PC).
using IrqLine = Strong<struct IrqLineTag, std::uint32_t>;

constexpr std::uint64_t kPageBits = 12;
constexpr std::uint64_t kPageSize = std::uint64_t{1} << kPageBits;
constexpr std::uint64_t kPageMask = kPageSize - 1;

}  // namespace hindsight
