// One read-only file that gdb finds on the target: the program it debugs, with symbols and unwind tables,
// made by whoever knows the guest. Answers qXfer:exec-file and vFile (GDB manual, appendix E.4 "qXfer
// executable filename read", E.7 "Host I/O Packets"). Owned by a stub; its thread. The guest is not involved.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hindsight::debugger::gdb {

/// Makes the file's contents, of the guest as it is then; empty: there is none.
using ProgramFileMaker = std::function<std::vector<std::byte>()>;

class ProgramFile final {
 public:
  /// `maker` may be empty: then no file is offered.
  explicit ProgramFile(ProgramFileMaker maker) : maker_(std::move(maker)) {}

  [[nodiscard]] bool offered() const { return static_cast<bool>(maker_); }
  /// The path that qXfer:exec-file names; nothing if the maker had nothing.
  [[nodiscard]] std::optional<std::string> path();
  /// The reply to "vFile:`request`".
  std::string handle(std::string_view request);

 private:
  /// Made anew when the file is opened again, for what the guest has loaded since.
  bool make();
  std::string open(std::string_view arguments);
  std::string read(std::string_view arguments);
  [[nodiscard]] std::string status() const;

  ProgramFileMaker maker_;
  std::optional<std::string> contents_;
  bool opened_ = false;  ///< since contents_ was made
};

}  // namespace hindsight::debugger::gdb
