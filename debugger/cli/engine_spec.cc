#include "debugger/cli/engine_spec.h"

#include <charconv>
#include <optional>

namespace hindsight::debugger::cli {
namespace {

using engine::exec::EngineKind;
using engine::exec::MachineOptions;

/// A number, with K or M for a size.
std::optional<std::uint64_t> number(std::string_view text, bool size) {
  unsigned shift = 0;
  if (size && !text.empty() && (text.back() == 'K' || text.back() == 'M')) {
    shift = text.back() == 'K' ? 10 : 20;
    text.remove_suffix(1);
  }
  std::uint64_t value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc() || end != text.data() + text.size() || value > (~std::uint64_t{0} >> shift))
    return std::nullopt;
  return value << shift;
}

Status apply_option(std::string_view option, MachineOptions& options) {
  constexpr std::uint64_t kSmallestCache = std::uint64_t{64} << 10, kLargestCache = std::uint64_t{1} << 30;
  const std::string_view name = option.substr(0, option.find('='));
  const std::string_view text = name.size() < option.size() ? option.substr(name.size() + 1) : "";
  const auto value = number(text, name == "cache");
  if (option == "plain") {
    options.optimise = false;
  } else if (name == "max-insns" && value && *value >= 1 && *value <= engine::ir::Block::kMaxInsns) {
    options.max_block_insns = static_cast<unsigned>(*value);
  } else if (name == "cache" && value && *value >= kSmallestCache && *value <= kLargestCache) {
    options.code_cache_bytes = *value;
  } else if (name == "interp-from" && value) {
    options.interpret_from = Icount(*value);
  } else {
    return error("plain, max-insns=1…{}, cache=64K…1024M or interp-from=ICOUNT expected, found \"{}\"",
                 engine::ir::Block::kMaxInsns, option);
  }
  return Done{};
}

}  // namespace

Status apply_engine(std::string_view text, MachineOptions& options) {
  const std::string_view engine = text.substr(0, text.find(':'));
  if (text == "interp") {
    options.engine = EngineKind::interpreter;
    return Done{};
  }
  if (engine != "jit") return error("interp or jit expected, found \"{}\"", engine);
  options.engine = EngineKind::translator;
  std::string_view rest = text.substr(engine.size());
  while (!rest.empty()) {
    rest.remove_prefix(1);  // the colon or comma
    const std::string_view option = rest.substr(0, rest.find(','));
    if (const Status applied = apply_option(option, options); !applied) return applied.failure();
    rest.remove_prefix(option.size());
  }
  return Done{};
}

std::string check_engine(const std::string& text) {
  MachineOptions ignored{};
  const Status applied = apply_engine(text, ignored);
  return applied ? std::string() : applied.failure().message;
}

}  // namespace hindsight::debugger::cli
