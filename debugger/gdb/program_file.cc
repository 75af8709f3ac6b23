#include "debugger/gdb/program_file.h"

#include <fmt/format.h>

#include <algorithm>

#include "debugger/gdb/packet.h"

namespace hindsight::debugger::gdb {
namespace {

constexpr std::string_view kPath = "/hindsight/guest";
constexpr std::string_view kDescriptor = "3";
// Error numbers of the protocol (E.13, "errno Values").
constexpr std::string_view kNoEntry = "F-1,2", kBadDescriptor = "F-1,9", kInvalid = "F-1,16",
                           kReadOnly = "F-1,1e";
constexpr std::uint64_t kMaxRead = kMaxRequest / 2;

std::string big_endian(std::uint64_t value, unsigned bytes) {
  std::string out;
  for (unsigned i = bytes; i-- > 0;) out += static_cast<char>(value >> (8 * i));
  return out;
}

}  // namespace

bool ProgramFile::make() {
  if (contents_ && !opened_) return true;
  const std::vector<std::byte> made = maker_();
  if (made.empty()) return contents_.has_value();
  contents_.emplace(reinterpret_cast<const char*>(made.data()), made.size());
  opened_ = false;
  return true;
}

std::optional<std::string> ProgramFile::path() {
  if (!offered() || (!contents_ && !make())) return std::nullopt;
  return std::string(kPath);
}

std::string ProgramFile::handle(std::string_view request) {
  if (!offered()) return {};
  const std::string_view operation = take_until(request, ':');
  if (operation == "setfs") return "F0";  // there is one file system
  if (operation == "open") return open(request);
  if (operation == "stat" || operation == "lstat") {
    return from_hex(request) == kPath && path() ? status() : std::string(kNoEntry);
  }
  if (operation == "pread" || operation == "fstat" || operation == "close") {
    std::string_view rest = request;
    if (take_until(rest, ',') != kDescriptor || !contents_) return std::string(kBadDescriptor);
    if (operation == "pread") return read(rest);
    return operation == "fstat" ? status() : "F0";
  }
  if (operation == "readlink") return std::string(kInvalid);  // it is no link
  if (operation == "pwrite" || operation == "unlink") return std::string(kReadOnly);
  return {};
}

std::string ProgramFile::open(std::string_view arguments) {
  const auto name = from_hex(take_until(arguments, ','));
  const auto flags = parse_hex(take_until(arguments, ','));
  if (!name || !flags) return std::string(kInvalid);
  if (*name != kPath || !make()) return std::string(kNoEntry);
  constexpr std::uint64_t kReadOnlyFlags = 0;  // O_RDONLY (E.13, "Open Flags")
  if (*flags != kReadOnlyFlags) return std::string(kReadOnly);
  opened_ = true;
  return fmt::format("F{}", kDescriptor);
}

std::string ProgramFile::read(std::string_view arguments) {
  const auto count = parse_hex(take_until(arguments, ','));
  const auto offset = parse_hex(arguments);
  if (!count || !offset) return std::string(kInvalid);
  const std::string_view all = *contents_;
  const auto part =
      *offset >= all.size() ? std::string_view{} : all.substr(*offset, std::min(*count, kMaxRead));
  return fmt::format("F{:x};", part.size()) + escape(part);
}

std::string ProgramFile::status() const {
  constexpr std::uint64_t kRegularReadable = 0100444, kBlock = 4096;
  const std::uint64_t size = contents_->size();
  // struct stat as the protocol lays it out: big-endian, without gaps (E.13, "struct stat")
  std::string stat = big_endian(0, 4) + big_endian(1, 4) + big_endian(kRegularReadable, 4) +
                     big_endian(1, 4) +       // links
                     std::string(12, '\0') +  // user, group, device
                     big_endian(size, 8) + big_endian(kBlock, 8) + big_endian((size + 511) / 512, 8) +
                     std::string(12, '\0');  // times
  return fmt::format("F{:x};", stat.size()) + escape(stat);
}

}  // namespace hindsight::debugger::gdb
