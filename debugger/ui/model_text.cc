#include "debugger/ui/model_text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace hindsight::debugger::ui {
namespace {

std::string place_text(const session::Place& place) {
  return fmt::format("{} pc {:x} {}", command_text(place.at), place.pc.value, place.where);
}

std::string state_text(const session::StateDifference& state) {
  std::string text;
  for (const session::FieldDifference& field : state.registers)
    text += fmt::format("register {} {} {}\n", field.path, field.a, field.b);
  for (const session::FieldDifference& field : state.fields)
    text += fmt::format("field {}.{} {} {}\n", field.part, field.path, field.a, field.b);
  text += fmt::format("memory {} pages {} bytes\n", state.pages, state.bytes);
  for (const session::PagesDifference& range : state.ranges)
    text += fmt::format("pages {:x} {} {} {}\n", range.first.value, range.pages, range.bytes,
                        fmt::join(range.names, ", "));
  return text;
}

std::string diff_text(const DiffModel& diff) {
  if (diff.instants) {
    return fmt::format("a {}\nb {}\n{}", place_text(diff.instants->a), place_text(diff.instants->b),
                       state_text(diff.instants->state));
  }
  const session::TracesDifference& found = *diff.traces;
  std::string text = found.relation + "\n";
  for (const session::FieldDifference& field : found.configuration)
    text += fmt::format("configuration {} {} {}\n", field.path, field.a, field.b);
  for (const session::TracesDifference::Event& event : found.events)
    text += fmt::format("event {} {} {} {}\n", event.side == ' ' ? "both" : std::string(1, event.side),
                        event.number, event.at.icount.value, event.text);
  if (found.parted)
    text += fmt::format(
        "parting {}\na {}\nb {}\n{}",
        found.parting ? place_text(*found.parting) + ": " + found.instruction : std::string("at power-on"),
        place_text(found.next_a), place_text(found.next_b), state_text(found.state));
  for (const session::TracesDifference::Later& later : found.later)
    text += fmt::format("later {} {} {}\n", later.what, later.a, later.b);
  for (const session::TracesDifference::Console& console : found.consoles)
    text +=
        fmt::format("console {} line {}\n{}\n", console.channel, console.line, fmt::join(console.text, "\n"));
  return text;
}

std::string answers_text(const session::Answers& answers) {
  std::string text;
  for (const session::Answer& answer : answers.all)
    text += fmt::format("{} {} {} | {}\n", command_text(answer.at), answer.kind, answer.text, answer.where);
  return text + (answers.more ? "more\n" : "");
}

std::string profile_text(const session::Profile& profile) {
  std::string text = fmt::format("{} instructions\n", profile.instructions);
  for (const session::Profile::Branch& branch : profile.tree)
    text += fmt::format("{:{}}{} total {} self {} calls {}\n", "", 2 * branch.depth, branch.function,
                        branch.total, branch.self, branch.calls);
  return text;
}

}  // namespace

std::string command_text(Position position) {
  return fmt::format("{}{}", position.icount.value,
                     position.delivery == 0 ? "" : fmt::format("+{}", position.delivery));
}

std::string text_of(const ViewModel& model, std::string_view what) {
  if (what == "console")
    return model.console->text().substr(0, model.console->shown_at(model.now.icount.value)) + "\n";
  if (what == "diff") return model.diff ? diff_text(*model.diff) : "nothing was compared\n";
  if (what == "answers") return model.answers ? answers_text(*model.answers) : "nothing was asked\n";
  if (what == "profile") return model.profile ? profile_text(*model.profile) : "nothing was counted\n";
  return fmt::format("at {} pc {:x} {} rax {:x}; {}\n", command_text(model.now),
                     model.registers ? model.registers->value("rip") : 0, model.where,
                     model.registers ? model.registers->value("rax") : 0, model.message);
}

}  // namespace hindsight::debugger::ui
