#include "debugger/ui/source_model.h"

#include <algorithm>
#include <map>

namespace hindsight::debugger::ui {
namespace {

void add(const session::Variable& variable, unsigned depth, std::vector<VariableRow>& rows) {
  rows.push_back({.kind = variable.kind,
                  .depth = depth,
                  .name = variable.name,
                  .type = variable.type,
                  .value = variable.value,
                  .known = variable.known,
                  .changed = false,
                  .before = {},
                  .address = variable.address,
                  .size = variable.size,
                  .parts = depth == 0 ? variable.parts.size() : 0});
  if (depth != 0) return;
  for (const session::Variable& part : variable.parts) add(part, 1, rows);
}

/// "shape.corner", for telling which row is which.
std::vector<std::string> paths(const std::vector<VariableRow>& rows) {
  std::vector<std::string> all;
  std::string parent;
  for (const VariableRow& row : rows) {
    if (row.depth == 0) parent = fmt::format("{}{}", static_cast<int>(row.kind), row.name);
    all.push_back(row.depth == 0 ? parent : parent + "." + row.name);
  }
  return all;
}

void mark_changes(const SourceModel& before, SourceModel& now) {
  if (before.frames.empty() || before.frame().function != now.frame().function) return;
  std::map<std::string, const VariableRow*> old;
  const auto old_paths = paths(before.variables);
  for (std::size_t i = 0; i < old_paths.size(); ++i) old.emplace(old_paths[i], &before.variables[i]);
  const auto new_paths = paths(now.variables);
  for (std::size_t i = 0; i < new_paths.size(); ++i) {
    VariableRow& row = now.variables[i];
    const auto same = old.find(new_paths[i]);
    if (same == old.end() || !row.known || same->second->value == row.value) continue;
    row.changed = true;
    row.before = same->second->value;
  }
}

}  // namespace

std::shared_ptr<const SourceModel> SourceBuilder::build(const SourceModel* before) {
  if (sources_ == nullptr) return nullptr;
  auto model = std::make_shared<SourceModel>();
  model->at = session_.now();
  model->frames = sources_->frames();
  if (chosen_ && *chosen_ < model->frames.size()) {
    model->shown = *chosen_;
  } else {
    const auto first = std::ranges::find_if(model->frames, [](const auto& frame) { return !!frame.place; });
    if (first != model->frames.end()) model->shown = static_cast<std::size_t>(first - model->frames.begin());
  }
  model->troubles = sources_->troubles();
  if (model->frames.empty()) return model;
  if (model->frame().place) model->text = sources_->text(model->frame().place->file);
  for (const session::Variable& variable : sources_->variables(model->shown))
    add(variable, 0, model->variables);
  if (before != nullptr && before->at != model->at) mark_changes(*before, *model);
  return model;
}

const VariableRow* find_variable(const SourceModel& source, std::string name) {
  if (const std::size_t arrow = name.find("->"); arrow != std::string::npos) name.replace(arrow, 2, ".");
  std::string parent;
  for (const VariableRow& row : source.variables) {
    if (row.depth == 0) parent = row.name;
    const char* const between = row.name.starts_with('[') ? "" : ".";
    if (name == (row.depth == 0 ? row.name : parent + between + row.name)) return &row;
  }
  return nullptr;
}

bool names_a_line(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  return colon != std::string::npos && colon != 0 && colon + 1 < text.size() &&
         text.find_first_not_of("0123456789", colon + 1) == std::string::npos;
}

}  // namespace hindsight::debugger::ui
