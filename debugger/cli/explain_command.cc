#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <sstream>

#include "debugger/cli/commands.h"
#include "debugger/cli/guest_text.h"
#include "engine/base/log.h"
#include "engine/guest/x86/x86_guest.h"
#include "engine/host/x64/code_generator.h"

namespace hindsight::debugger::cli {
namespace {

namespace x86 = engine::guest::x86;
namespace ir = engine::ir;
namespace x64 = engine::host::x64;
using Bytes = std::vector<std::uint8_t>;

/// In the order of x86::Operand.
constexpr std::array kOperandNames = {"",   "Eb", "Ew", "Ed", "Eq",  "Ev", "Ey", "Gb",  "Gw", "Gd",  "Gv",
                                      "Gy", "Rv", "Ry", "M",  "Mb",  "Mw", "Md", "Mq",  "Mx", "Zb",  "Zv",
                                      "AL", "CL", "AX", "DX", "rAX", "Ib", "Iw", "Iz",  "Iv", "sIb", "1",
                                      "Jb", "Jz", "Ob", "Ov", "Ap",  "Sw", "Cd", "Dd",  "Xb", "Xv",  "Yb",
                                      "Yv", "V",  "W",  "U",  "P",   "Q",  "N",  "ST0", "STi"};
static_assert(kOperandNames.size() == static_cast<std::size_t>(x86::Operand::Sti) + 1);

/// Words of two hexadecimal digits a byte, with or without 0x before them and space between.
Result<Bytes> parse_hex(const std::vector<std::string>& arguments) {
  Bytes bytes;
  std::istringstream words(fmt::format("{}", fmt::join(arguments, " ")));
  for (std::string word; words >> word;) {
    std::string_view digits = word;
    if (digits.starts_with("0x") || digits.starts_with("0X")) digits.remove_prefix(2);
    if (digits.size() % 2 != 0 ||
        digits.find_first_not_of("0123456789abcdefABCDEF") != std::string_view::npos)
      return error("\"{}\": hexadecimal bytes expected, two digits each", word);
    for (std::size_t i = 0; i < digits.size(); i += 2)
      bytes.push_back(static_cast<std::uint8_t>(std::stoul(std::string(digits.substr(i, 2)), nullptr, 16)));
  }
  if (bytes.empty()) return error("no bytes given");
  return bytes;
}

/// Flat protected-mode or 64-bit code with everything masked, as an operating system runs it.
std::uint64_t mode_bits(const ExplainOptions& options) {
  using namespace x86::mode;
  const std::uint64_t code = options.mode == 64   ? kCode64 | kLong
                             : options.mode == 32 ? kCode32 | kStack32
                                                  : std::uint64_t{0};
  return code | kProtected | (options.user ? kUser : kIoPrivileged);
}

/// The second opinion on an instruction that our decoder found to have these bytes.
std::string second_opinion(std::span<const std::uint8_t> bytes, unsigned mode, std::uint64_t pc) {
  const GuestText guest = disassemble_guest(bytes, mode, pc);
  const bool agrees = guest.length == 0 || guest.length == bytes.size();
  return agrees ? guest.text : fmt::format("{} (Capstone: {} bytes)", guest.text, guest.length);
}

std::string row_text(const x86::Decoded& decoded) {
  if (decoded.row == nullptr) return "none: invalid opcode (#UD)";
  constexpr const char* kMaps[] = {"", "0f ", "0f 38 ", "0f 3a "};
  constexpr const char* kPrefixes[] = {"", "no prefix, ", "66 ", "f3 ", "f2 "};
  const x86::Row& row = *decoded.row;
  std::string text = fmt::format("{}{}{:02x}", kPrefixes[static_cast<unsigned>(row.match.prefix)],
                                 kMaps[static_cast<unsigned>(row.map)], row.opcode);
  if (row.match.last != 0) text += fmt::format("..{:02x}", row.match.last);
  if (row.match.reg >= 0) text += fmt::format(" /{}", row.match.reg);
  std::vector<std::string> operands;
  for (const x86::Operand operand : row.operands)
    if (operand != x86::Operand::none)
      operands.emplace_back(kOperandNames[static_cast<std::size_t>(operand)]);
  text += fmt::format("  {} {}", row.mnemonic, fmt::join(operands, ", "));
  constexpr std::pair<std::uint32_t, const char*> kFlags[] = {{x86::kLock, "lockable"},
                                                              {x86::kPrivileged, "privileged"},
                                                              {x86::kNo64, "not in 64-bit mode"},
                                                              {x86::kOnly64, "64-bit mode only"},
                                                              {x86::kAlone, "alone"},
                                                              {x86::kEndsBlock, "ends the block"},
                                                              {x86::kProtectedOnly, "protected mode only"}};
  for (const auto& [bit, name] : kFlags)
    if (row.flags & bit) text += fmt::format(" [{}]", name);
  return text;
}

/// The instructions of a block as they stand in memory.
std::string guest_text(const x86::Decoder& decoder, const ExplainOptions& options,
                       std::span<const std::uint8_t> bytes, std::uint64_t pc) {
  std::string text;
  while (!bytes.empty()) {
    x86::Decoded decoded;
    const x86::DecodeStatus status = decoder.decode(bytes, mode_bits(options), decoded);
    const std::size_t length = std::clamp<std::size_t>(decoded.length, 1, bytes.size());
    const auto insn = bytes.first(length);
    text +=
        fmt::format("{:>8x}  {:02x}  {}\n", pc, fmt::join(insn, " "), second_opinion(insn, options.mode, pc));
    text += fmt::format("          row: {}\n", status == x86::DecodeStatus::too_long
                                                   ? "none: longer than 15 bytes (#GP)"
                                                   : row_text(decoded));
    bytes = bytes.subspan(length);
    pc += length;
  }
  return text;
}

std::string host_text(const ir::RegisterTable& registers, const ir::Block& block) {
  constexpr std::size_t kCache = std::size_t{1} << 20;
  auto cache = x64::CodeCache::create(kCache);
  if (!cache) return fmt::format("host code: {}\n", cache.failure().message);
  x64::CodeGenerator generator(registers, std::move(*cache));
  const auto code = generator.compile(block);
  if (!code) return "host code: does not fit\n";
  return fmt::format("host code, {} bytes and {} out of line:\n{}", code->size, code->cold_size,
                     generator.disassemble(*code));
}

/// From the IR as lifted to host code, printing each stage; a pass that changes nothing is only named.
std::string stages(const ir::RegisterTable& registers, ir::Block block) {
  std::string before = ir::print(block);
  std::string text = "IR:\n" + before;
  if (const std::string wrong = ir::verify(block); !wrong.empty())
    return text + "the verifier says: " + wrong + "\n";
  for (const ir::Pass& pass : ir::passes()) {
    pass.run(block);
    std::string after = ir::print(block);
    text += after == before ? fmt::format("IR after {}: the same\n", pass.name)
                            : fmt::format("IR after {}:\n{}", pass.name, after);
    before = std::move(after);
  }
  return text + host_text(registers, block);
}

/// Explains one block and returns its length in bytes.
Result<std::size_t> explain_block(x86::X86Guest& guest, const ExplainOptions& options,
                                  std::span<const std::uint8_t> bytes, std::uint64_t pc) {
  const ir::LiftRequest request{.mode = mode_bits(options) << x86::mode::kShift,
                                .pc = pc,
                                .bytes = bytes,
                                .max_insns = ir::Block::kMaxInsns,
                                .alone = false,
                                .is_io_site = nullptr,
                                .io_context = nullptr};
  ir::Block block;
  if (guest.lift(request, block) != ir::LiftOutcome::lifted)
    return error("the bytes end inside the instruction at {:#x}: {:02x}", pc, fmt::join(bytes, " "));
  const auto own = bytes.first(std::clamp<std::size_t>(block.byte_length, 1, bytes.size()));
  fmt::print("block of {} instruction{}:\n{}{}", block.insn_count, block.insn_count == 1 ? "" : "s",
             guest_text(guest.decoder(), options, own, pc), stages(guest.registers(), block));
  return own.size();
}

}  // namespace

int explain_command(const ExplainOptions& options) {
  const Result<Bytes> bytes = parse_hex(options.bytes);
  if (!bytes) {
    fmt::print(stderr, "hindsight: explain: {}\n", bytes.failure().message);
    return kUsage;
  }
  x86::X86Guest guest;
  // That there is no such instruction is said below.
  if (const Status quiet = log::configure("x86:error"); !quiet) return kUsage;
  std::size_t at = 0;
  while (at < bytes->size()) {
    const auto length = explain_block(guest, options, std::span(*bytes).subspan(at), options.address + at);
    if (!length) {
      fmt::print(stderr, "hindsight: explain: {}\n", length.failure().message);
      return kUsage;
    }
    at += *length;
    if (at < bytes->size()) fmt::print("\n");
  }
  return kOk;
}

}  // namespace hindsight::debugger::cli
