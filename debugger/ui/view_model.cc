#include "debugger/ui/view_model.h"

#include <algorithm>

namespace hindsight::debugger::ui {

std::optional<std::size_t> RegistersModel::find(std::string_view name) const {
  const auto found = std::ranges::find(table, name, &session::RegisterInfo::name);
  if (found == table.end()) return std::nullopt;
  return static_cast<std::size_t>(found - table.begin());
}

std::uint64_t RegistersModel::value(std::string_view name) const {
  const auto index = find(name);
  return index && *index < now.size() ? now[*index][0] : 0;
}

std::optional<std::size_t> CodeModel::line_at(GuestVirt address) const {
  const auto line = std::ranges::lower_bound(lines, address, {}, &CodeLine::address);
  if (line == lines.end() || line->address != address) return std::nullopt;
  return static_cast<std::size_t>(line - lines.begin());
}

std::string grouped(std::uint64_t number) {
  std::string text = fmt::format("{}", number);
  for (std::size_t at = text.size(); at > 3;) text.insert(at -= 3, ",");
  return text;
}

std::string text_of(Position position) {
  std::string text = grouped(position.icount.value);
  if (position.delivery != 0) text += fmt::format("+{}", position.delivery);
  return text;
}

std::string text_of(VirtualTime time) {
  const std::uint64_t micro = time.value / 1000;
  return fmt::format("{}.{:03} {:03} s", micro / 1'000'000, micro / 1000 % 1000, micro % 1000);
}

}  // namespace hindsight::debugger::ui
