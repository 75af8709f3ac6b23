// gdb's breakpoints and watchpoints (packets Z and z; GDB manual, appendix E.2) as stop conditions of a
// session. The guest's memory is never changed for one. Owned by a stub; its thread. Ends with its conditions
// removed from the session.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "debugger/gdb/agent_expression.h"
#include "debugger/gdb/registers.h"
#include "debugger/session/session.h"

namespace hindsight::debugger::gdb {

/// As the digit after Z says.
enum class StopPointType : std::uint8_t { software = 0, hardware = 1, write = 2, read = 3, access = 4 };

struct StopPoint {
  StopPointType type;
  std::uint64_t address;
  std::uint64_t length;  ///< bytes watched; of a breakpoint, gdb's "kind"
  auto operator<=>(const StopPoint&) const = default;
};

class StopPoints final {
 public:
  /// All are borrowed and outlive this.
  StopPoints(session::Session& session, const Registers& registers)
      : session_(session), registers_(registers) {}
  ~StopPoints() { clear(); }
  StopPoints(const StopPoints&) = delete;
  StopPoints& operator=(const StopPoints&) = delete;

  /// The reply to "Z…" or "z…".
  std::string handle(std::string_view packet);
  void clear();
  /// The point whose condition the session knows as `id`.
  [[nodiscard]] std::optional<StopPoint> find(int id) const;
  [[nodiscard]] bool breaks_at(std::uint64_t address) const;

 private:
  std::string insert(const StopPoint& point, std::vector<AgentExpression> expressions);

  session::Session& session_;
  const Registers& registers_;
  std::map<StopPoint, int> ids_;
};

}  // namespace hindsight::debugger::gdb
