#include "debugger/cli/answer_values.h"

#include <fmt/format.h>

#include <algorithm>

#include "debugger/cli/figures.h"
#include "debugger/cli/json_text.h"
#include "debugger/query/profile.h"
#include "replay/play/divergence.h"

namespace hindsight::debugger::cli {
namespace {

using engine::port::Access;
using engine::port::AccessOrigin;
using session::Answer;
using session::Inquiry;

std::string value_text(std::uint64_t value, std::uint32_t size) {
  const unsigned shown = std::min(size, 8U);
  if (shown < 8) value &= (std::uint64_t{1} << (8 * shown)) - 1;
  return fmt::format("{:0{}x}", value, 2 * shown);
}

/// Bytes as one little-endian number, or as they lie where that is no number.
std::string bytes_value(const std::vector<std::byte>& bytes) {
  if (bytes.size() > 8 || (bytes.size() & (bytes.size() - 1)) != 0) return hex(bytes);
  return hex(std::vector<std::byte>(bytes.rbegin(), bytes.rend()));
}

std::string code_text(GuestVirt pc, const std::string& name) {
  return name.empty() ? fmt::format("{:016x}", pc.value) : name;
}

/// Who it was: an instruction, or a device that copied while the CPU stood there.
std::string writer_text(const Access& access, const std::string& name) {
  if (access.origin == AccessOrigin::dma) return "a device (DMA)";
  return code_text(access.pc, name) + (access.origin == AccessOrigin::page_walk ? " (page walk)" : "");
}

Answer write_answer(const query::Write& write) {
  const Access& access = write.access;
  const std::string at = access.origin == AccessOrigin::instruction && access.linear.value != 0
                             ? fmt::format("{:016x}", access.linear.value)
                             : fmt::format("phys:{:#x}", access.physical.value);
  return {access.at, "write",
          fmt::format("{}  {} → {}{}", at, value_text(access.before, access.size),
                      value_text(access.after, access.size),
                      access.size > 8 ? fmt::format("… ({} bytes)", access.size) : ""),
          writer_text(access, write.name)};
}

Answer change_answer(const query::Change& change) {
  return {change.access.at, "change",
          fmt::format("{} → {}", bytes_value(change.before), bytes_value(change.after)),
          writer_text(change.access, change.name)};
}

Answer call_answer(const query::Call& call) {
  std::string text = call.name.empty() ? fmt::format("{:#x}", call.function.value) : call.name;
  if (const auto plus = text.find("+0x0"); plus != std::string::npos) text.erase(plus, 4);
  text += '(';
  constexpr std::size_t kShown = 4;
  for (std::size_t i = 0; i < kShown; ++i)
    text += fmt::format("{}{:x}", i == 0 ? "" : ", ", call.arguments[i]);
  text += ", …)";
  if (call.returned) text += fmt::format(" = {:x}", call.returned->value);
  return {call.at, "call", std::move(text), code_text(call.return_address, call.caller)};
}

std::string printable(const std::vector<std::byte>& bytes) {
  constexpr std::size_t kShown = 96;
  std::string text;
  for (const std::byte byte : std::span(bytes).first(std::min(kShown, bytes.size()))) {
    const char c = static_cast<char>(byte);
    text += c >= ' ' && c <= '~' ? c : c == '\r' || c == '\n' ? ' ' : '.';
  }
  return text;
}

Answer event_answer(const query::Event& event) {
  Answer answer{event.at, std::string(query::name_of(event.kind)), {}, {}};
  if (event.kind == query::Event::Kind::exception || event.kind == query::Event::Kind::interrupt) {
    answer.text = fmt::format("vector {:02x}", event.delivery.vector);
    if (event.delivery.error_code) answer.text += fmt::format(", code {:x}", *event.delivery.error_code);
    if (!event.handler.empty()) answer.text += ", to " + event.handler;
    answer.where = code_text(event.delivery.pc, event.where);
    return answer;
  }
  const bool console = event.channel == engine::port::Channel::serial0 ||
                       event.channel == engine::port::Channel::virtio_console;
  constexpr std::size_t kShown = 24;
  const auto shown = std::span(event.payload).first(std::min(kShown, event.payload.size()));
  answer.text =
      fmt::format("{}, {}: {}", replay::play::channel_name(event.channel),
                  counted(event.payload.size(), "byte"), console ? printable(event.payload) : hex(shown));
  return answer;
}

template <class T, class Convert>
Result<session::Answers> converted(const Inquiry& inquiry, const Result<query::Answers<T>>& found,
                                   Convert convert) {
  if (!found) return found.failure();
  session::Answers out{.asked = inquiry, .all = {}, .more = found->more};
  for (const T& one : found->all) out.all.push_back(convert(one));
  return out;
}

}  // namespace

Result<session::Answers> answers(query::Queries& queries, const Inquiry& inquiry) {
  const query::Stretch within{inquiry.from, inquiry.to};
  const std::string& subject = inquiry.subject;
  if (inquiry.kind == "events") {
    const auto wanted = [&](const char* kind) {
      return subject.empty() || subject.find(kind) != std::string::npos;
    };
    const query::EventKinds kinds{wanted("input"), wanted("sample"), wanted("output"), wanted("exception"),
                                  wanted("interrupt")};
    return converted(inquiry, queries.events(kinds, within, inquiry.limit), event_answer);
  }
  if (inquiry.kind == "calls") {
    const auto functions = queries.functions(subject);
    if (!functions) return functions.failure();
    return converted(inquiry, queries.calls(*functions, within, inquiry.limit, true), call_answer);
  }
  const auto target = queries.target(subject);
  if (!target) return target.failure();
  if (inquiry.kind == "writes")
    return converted(inquiry, queries.writes(*target, within, inquiry.limit), write_answer);
  if (inquiry.kind == "changes")
    return converted(inquiry, queries.changes(*target, within, inquiry.limit), change_answer);
  if (inquiry.kind != "last-write") {
    return error("last-write, writes, changes, calls, events or profile expected, found \"{}\"",
                 inquiry.kind);
  }
  const auto last = queries.last_write(*target, within);
  if (!last) return last.failure();
  session::Answers out{.asked = inquiry, .all = {}, .more = false};
  if (*last) out.all.push_back(write_answer((*last)->write));
  return out;
}

session::Profile profile_values(const query::Queries& queries, const query::CallTree& tree) {
  session::Profile out;
  const std::vector<std::uint64_t> totals = tree.totals();
  out.instructions = totals[query::CallTree::kRoot];
  const std::uint64_t least = std::max<std::uint64_t>(1, out.instructions / 1000);
  std::vector<std::vector<query::CallTree::Index>> children(tree.size());
  for (query::CallTree::Index node = query::CallTree::kRoot + 1; node < tree.size(); ++node)
    if (totals[node] >= least) children[tree[node].parent].push_back(node);
  std::vector<std::pair<query::CallTree::Index, unsigned>> open;
  const auto open_children = [&](query::CallTree::Index node, unsigned depth) {
    std::ranges::stable_sort(children[node], [&](auto a, auto b) { return totals[a] > totals[b]; });
    for (auto child = children[node].rbegin(); child != children[node].rend(); ++child)
      open.emplace_back(*child, depth);
  };
  open_children(query::CallTree::kRoot, 0);
  while (!open.empty()) {
    const auto [node, depth] = open.back();
    open.pop_back();
    out.tree.push_back({depth, query::function_name(queries, tree[node].function), tree[node].function,
                        totals[node], tree[node].self, tree[node].calls});
    open_children(node, depth + 1);
  }
  for (const query::FunctionProfile& function : query::by_function(tree))
    out.functions.push_back({0, query::function_name(queries, function.function), function.function,
                             function.total, function.self, function.calls});
  return out;
}

}  // namespace hindsight::debugger::cli
