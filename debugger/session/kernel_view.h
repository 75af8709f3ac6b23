// The guest's kernel at a session's cursor: its symbols are found once, its modules looked up again where
// the cursor moved. Owned by a session; its thread.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "debugger/session/session.h"
#include "debugger/symbols/guest_kernel.h"
#include "debugger/symbols/machine_view.h"
#include "replay/timeline/timeline.h"

namespace hindsight::debugger::session {

/// Where a kernel is looked for.
struct Scene {
  std::function<engine::port::Machine&()> machine;  ///< at the cursor
  std::function<engine::port::Position()> now;
  /// Calls `look` with the cursor at the end of history, and puts it back. Empty: the cursor is there.
  std::function<Status(const std::function<void()>& look)> at_the_end;
};

class KernelView final {
 public:
  explicit KernelView(Scene scene) : scene_(std::move(scene)) {}
  /// At a timeline's cursor.
  explicit KernelView(replay::timeline::Timeline& timeline);

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
  struct Look {
    symbols::GuestKernel* kernel;
    symbols::CpuView view;
  };
  /// At the kernel, and at its CPU as it is at the cursor.
  Result<Look> look();

  const Scene scene_;
  std::optional<symbols::GuestKernel> kernel_;
  std::optional<engine::port::Position> fresh_at_;   ///< where modules were looked up last
  std::optional<engine::port::Position> missed_at_;  ///< where it was looked for last, in vain
  std::optional<Error> missing_;                     ///< there is none, even at the end of history
};

}  // namespace hindsight::debugger::session
