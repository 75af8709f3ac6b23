// The guest's kernel at a timeline's cursor: its symbols are found once, its modules looked up again where
// the cursor moved. Owned by a session; its thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "debugger/session/session.h"
#include "debugger/symbols/guest_kernel.h"
#include "replay/timeline/timeline.h"

namespace hindsight::debugger::session {

class KernelView final {
 public:
  explicit KernelView(replay::timeline::Timeline& timeline) : timeline_(timeline) {}

  /// See Session, of which these are parts.
  [[nodiscard]] std::string describe(GuestVirt address);
  [[nodiscard]] Result<GuestVirt> resolve(std::string_view symbol);
  [[nodiscard]] Result<std::string> call_stack();
  [[nodiscard]] Result<std::vector<FrameInfo>> frames();
  [[nodiscard]] Result<std::vector<TaskInfo>> tasks();
  [[nodiscard]] Result<std::vector<LogLine>> log();
  [[nodiscard]] Result<std::vector<ModuleInfo>> modules();
  [[nodiscard]] std::vector<std::byte> symbol_file();
  [[nodiscard]] Result<std::uint64_t> kernel_slide();

  /// The kernel as it is at the cursor. Where the cursor is too early for one, the end of history is asked.
  Result<symbols::GuestKernel*> kernel();

 private:
  replay::timeline::Timeline& timeline_;
  std::optional<symbols::GuestKernel> kernel_;
  std::optional<engine::port::Position> fresh_at_;  ///< where modules were looked up last
  std::optional<Error> missing_;                    ///< there is none, wherever one looks
};

}  // namespace hindsight::debugger::session
