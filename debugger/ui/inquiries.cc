#include "debugger/ui/inquiries.h"

#include <algorithm>
#include <array>

namespace hindsight::debugger::ui {
namespace {

using session::Position;

std::vector<std::string> words_of(const std::string& text) {
  std::vector<std::string> words;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(' ', at), text.size());
    if (end > at) words.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return words;
}

std::string counted(std::uint64_t number, const char* what) {
  return fmt::format("{} {}{}", grouped(number), what, number == 1 ? "" : "s");
}

}  // namespace

bool Inquiries::knows(const std::string& name) {
  constexpr std::array<std::string_view, 4> kNames = {"diff", "diff-trace", "query", "profile"};
  return std::ranges::find(kNames, name) != kNames.end();
}

Status Inquiries::carry_out(const std::string& name, const std::string& rest, ViewModel& model) {
  if (analyst_ == nullptr) return error("{}: history cannot be searched here", name);
  if (name == "diff") return diff(rest, model);
  if (name == "diff-trace") return diff_trace(rest, model);
  return name == "query" ? query(rest, model) : profile(rest, model);
}

Result<Inquiries::Range> Inquiries::range(const std::string& text) {
  if (text.empty()) return Range{session_.first(), session_.last()};
  const auto dots = text.find("..");
  if (dots == std::string::npos) return error("A..B was expected, found \"{}\"", text);
  const auto from = session_.parse_position(text.substr(0, dots));
  if (!from) return from.failure();
  const auto to = session_.parse_position(text.substr(dots + 2));
  if (!to) return to.failure();
  if (*from > *to) return error("A..B with A below B was expected, found \"{}\"", text);
  return Range{*from, std::min(*to, session_.last())};
}

Status Inquiries::diff(const std::string& rest, ViewModel& model) {
  const auto words = words_of(rest);
  if (words.empty() || words.size() > 2) return error("one or two positions were expected");
  auto a = session_.parse_position(words[0]);
  if (!a) return a.failure();
  auto b = words.size() == 2 ? session_.parse_position(words[1]) : Result<Position>(session_.now());
  if (!b) return b.failure();
  if (*a > *b) std::swap(*a, *b);
  auto found = analyst_->diff(*a, *b);
  if (!found) return found.failure();
  const session::StateDifference& state = found->state;
  model.message = fmt::format("{} .. {}: {}, {} and {} of memory differ", text_of(found->a.at),
                              text_of(found->b.at), counted(state.registers.size(), "register"),
                              counted(state.fields.size(), "field"), counted(state.bytes, "byte"));
  auto shown = std::make_shared<DiffModel>();
  shown->instants = std::move(*found);
  model.diff = std::move(shown);
  return Done{};
}

Status Inquiries::diff_trace(const std::string& path, ViewModel& model) {
  if (path.empty()) return error("a trace was expected");
  auto found = analyst_->diff_trace(path);
  if (!found) return found.failure();
  model.message = found->relation;
  auto shown = std::make_shared<DiffModel>();
  shown->traces = std::move(*found);
  model.diff = std::move(shown);
  return Done{};
}

std::string Inquiries::subject(const std::string& kind, const std::string& text) {
  if (kind == "calls" || kind == "events") return text;
  const auto slash = std::min(text.find('/'), text.size());
  const std::string place = text.substr(0, slash);
  const std::string base = place.substr(0, place.find_first_of("+-"));
  const bool is_register =
      base == "pc" || std::ranges::find(session_.register_table(), base, &session::RegisterInfo::name) !=
                          session_.register_table().end();
  if (!is_register) return text;
  const auto address = builder_.address(place);
  return address ? fmt::format("{:#x}{}", address->value, text.substr(slash)) : text;
}

Status Inquiries::query(const std::string& rest, ViewModel& model) {
  auto words = words_of(rest);
  std::string within;
  if (words.size() > 1 && words.back().find("..") != std::string::npos) {
    within = words.back();
    words.pop_back();
  }
  if (words.empty() || words.size() > 2 || (words.size() == 1 && words[0] != "events"))
    return error("last-write, writes, changes, calls or events, and of what, was expected");
  const auto asked = range(within);
  if (!asked) return asked.failure();
  session::Inquiry inquiry;
  inquiry.kind = words[0];
  inquiry.subject = words.size() == 2 ? subject(words[0], words[1]) : std::string();
  inquiry.at = session_.now();
  inquiry.from = asked->from;
  inquiry.to = asked->to;
  if (inquiry.kind == "last-write" && within.empty()) inquiry.to = session_.now();
  auto found = analyst_->ask(inquiry);
  if (!found) return found.failure();
  model.message =
      fmt::format("{} {}: {}{} in {} .. {}", inquiry.kind, inquiry.subject, found->more ? "the first " : "",
                  counted(found->all.size(), "answer"), text_of(inquiry.from), text_of(inquiry.to));
  model.answers = std::make_shared<session::Answers>(std::move(*found));
  return Done{};
}

Status Inquiries::profile(const std::string& rest, ViewModel& model) {
  const auto asked = range(rest);
  if (!asked) return asked.failure();
  auto found = analyst_->profile(asked->from, asked->to);
  if (!found) return found.failure();
  model.message =
      fmt::format("{} of {} in {} .. {}", counted(found->instructions, "instruction"),
                  counted(found->functions.size(), "function"), text_of(asked->from), text_of(asked->to));
  model.profile = std::make_shared<session::Profile>(std::move(*found));
  return Done{};
}

}  // namespace hindsight::debugger::ui
