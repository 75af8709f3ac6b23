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

/// Shows `part` as that part of the model.
template <class Part, class Found>
Answer answer(std::shared_ptr<const Part> ViewModel::*member, std::shared_ptr<Found> part,
              std::string message) {
  return [member, part = std::move(part), message = std::move(message)](ViewModel& model) {
    model.*member = part;
    model.message = message;
  };
}

}  // namespace

bool Inquiries::knows(const std::string& name) {
  constexpr std::array<std::string_view, 4> kNames = {"diff", "diff-trace", "query", "profile"};
  return std::ranges::find(kNames, name) != kNames.end();
}

Result<Question> Inquiries::prepare(const std::string& name, const std::string& rest) {
  if (analyst_ == nullptr) return error("{}: history cannot be searched here", name);
  if (name == "diff") return diff(rest);
  if (name == "diff-trace") return diff_trace(rest);
  return name == "query" ? query(rest) : profile(rest);
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

Result<Question> Inquiries::diff(const std::string& rest) {
  const auto words = words_of(rest);
  if (words.empty() || words.size() > 2) return error("one or two positions were expected");
  auto a = session_.parse_position(words[0]);
  if (!a) return a.failure();
  auto b = words.size() == 2 ? session_.parse_position(words[1]) : Result<Position>(session_.now());
  if (!b) return b.failure();
  if (*a > *b) std::swap(*a, *b);
  return Question([analyst = analyst_, from = *a, to = *b]() -> Result<Answer> {
    auto found = analyst->diff(from, to);
    if (!found) return found.failure();
    const session::StateDifference& state = found->state;
    std::string message = fmt::format("{} .. {}: {}, {} and {} of memory differ", text_of(found->a.at),
                                      text_of(found->b.at), counted(state.registers.size(), "register"),
                                      counted(state.fields.size(), "field"), counted(state.bytes, "byte"));
    auto shown = std::make_shared<DiffModel>();
    shown->instants = std::move(*found);
    return answer(&ViewModel::diff, std::move(shown), std::move(message));
  });
}

Result<Question> Inquiries::diff_trace(const std::string& path) {
  if (path.empty()) return error("a trace was expected");
  return Question([analyst = analyst_, path]() -> Result<Answer> {
    auto found = analyst->diff_trace(path);
    if (!found) return found.failure();
    std::string message = found->relation;
    auto shown = std::make_shared<DiffModel>();
    shown->traces = std::move(*found);
    return answer(&ViewModel::diff, std::move(shown), std::move(message));
  });
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

Result<Question> Inquiries::query(const std::string& rest) {
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
  return Question([analyst = analyst_, inquiry]() -> Result<Answer> {
    auto found = analyst->ask(inquiry);
    if (!found) return found.failure();
    std::string message =
        fmt::format("{} {}: {}{} in {} .. {}", inquiry.kind, inquiry.subject, found->more ? "the first " : "",
                    counted(found->all.size(), "answer"), text_of(inquiry.from), text_of(inquiry.to));
    return answer(&ViewModel::answers, std::make_shared<session::Answers>(std::move(*found)),
                  std::move(message));
  });
}

Result<Question> Inquiries::profile(const std::string& rest) {
  const auto asked = range(rest);
  if (!asked) return asked.failure();
  return Question([analyst = analyst_, within = *asked]() -> Result<Answer> {
    auto found = analyst->profile(within.from, within.to);
    if (!found) return found.failure();
    std::string message =
        fmt::format("{} of {} in {} .. {}", counted(found->instructions, "instruction"),
                    counted(found->functions.size(), "function"), text_of(within.from), text_of(within.to));
    return answer(&ViewModel::profile, std::make_shared<session::Profile>(std::move(*found)),
                  std::move(message));
  });
}

}  // namespace hindsight::debugger::ui
