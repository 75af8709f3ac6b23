// Builds the parts of a ViewModel from a session at its cursor. Owned by the engine's thread, which alone
// uses it. Only looks; the cursor stays where it is.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "debugger/session/session.h"
#include "debugger/ui/disassembler.h"
#include "debugger/ui/view_model.h"

namespace hindsight::debugger::ui {

class ModelBuilder final {
 public:
  explicit ModelBuilder(session::Session& session) : session_(session) {}

  /// "ffffffff81000000", "0x1000", "rsp", "rsp+8", "schedule", "schedule+0x10".
  Result<GuestVirt> address(std::string_view expression);

  std::shared_ptr<const RegistersModel> registers(const RegistersModel* before);
  /// `wanted` empty: around the pc.
  std::shared_ptr<const CodeModel> code(std::optional<GuestVirt> wanted);
  /// What of `code` is executed around the cursor.
  Result<std::shared_ptr<const PathModel>> path(std::shared_ptr<const CodeModel> code);
  std::shared_ptr<const MemoryModel> memory(GuestVirt base, std::string expression,
                                            const MemoryModel* before);
  std::shared_ptr<const SystemModel> system(const RegistersModel& registers);
  std::shared_ptr<const WalkModel> walk(GuestVirt address, std::string expression);
  std::shared_ptr<const std::vector<DeviceField>> devices(const std::vector<DeviceField>* before);

 private:
  unsigned code_bits(const RegistersModel& registers);
  /// Where to begin so that `wanted` begins a line, with some lines before it.
  GuestVirt code_begin(GuestVirt wanted, unsigned bits);
  void name(Disassembler::Decoded& decoded);
  std::vector<std::uint8_t> bytes(GuestVirt address, std::size_t size);

  session::Session& session_;
  Disassembler disassembler_;
};

}  // namespace hindsight::debugger::ui
