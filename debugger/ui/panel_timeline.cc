#include <algorithm>
#include <cmath>

#include "debugger/ui/happening_words.h"
#include "debugger/ui/panel.h"

namespace hindsight::debugger::ui {
namespace {

/// The gap between ticks so that `most` of them fit: 1, 2 or 5 times a power of ten.
std::uint64_t tick_step(std::uint64_t span, double most) {
  const double least = static_cast<double>(span) / std::max(1.0, most);
  double step = std::pow(10.0, std::floor(std::log10(std::max(1.0, least))));
  for (const double factor : {1.0, 2.0, 5.0, 10.0})
    if (step * factor >= least) return std::max<std::uint64_t>(1, static_cast<std::uint64_t>(step * factor));
  return std::max<std::uint64_t>(1, static_cast<std::uint64_t>(step * 10));
}

std::string short_count(std::uint64_t icount) {
  const auto unit = [&](std::uint64_t size, const char* name) {
    const double value = static_cast<double>(icount) / static_cast<double>(size);
    std::string text = fmt::format("{:.3f}", value);
    while (text.back() == '0') text.pop_back();
    if (text.back() == '.') text.pop_back();
    return text + name;
  };
  if (icount >= 1'000'000'000) return unit(1'000'000'000, "G");
  if (icount >= 1'000'000) return unit(1'000'000, "M");
  return grouped(icount);
}

/// One row of the strip.
struct Row {
  std::string name;
  ImU32 colour;
  std::optional<std::size_t> lane;  ///< none: snapshots or marks
  std::uint64_t total = 0;
  bool marks = false;
};

class TimelinePanel final : public Panel {
 public:
  void draw(const Panes& panes) override {
    prepare(panes);
    const ImVec2 size = ImGui::GetContentRegionAvail();
    const float unit = panes.scale;
    label_width_ = 118 * unit;
    row_height_ = 14 * unit;
    const float ruler = 20 * unit;
    const bool low = size.y < ruler + 3 * row_height_;  // no room for the overview
    const float overview = low ? 0 : 12 * unit;
    origin_ = ImGui::GetCursorScreenPos();
    strip_x_ = origin_.x + label_width_;
    strip_width_ = std::max(50.0F, size.x - label_width_ - ImGui::GetStyle().ScrollbarSize - 2 * unit);
    draw_ruler(panes, {strip_x_, origin_.y}, ruler);
    ImGui::SetCursorScreenPos({origin_.x, origin_.y + ruler});
    ImGui::PushStyleVar(ImGuiStyleVar_WindowPadding, ImVec2(0, 0));
    // Where not all rows have room none is cut in two.
    const float room = std::max(1.0F, size.y - ruler - overview - 6 * unit);
    const bool all = static_cast<float>(rows_.size()) * row_height_ < room;
    const float count = std::max(1.0F, std::floor(room / row_height_));
    if (!all) row_height_ = std::max(row_height_, std::floor(room / count));
    const float whole = all ? room : count * row_height_;
    ImGui::BeginChild("lanes", {size.x, std::min(room, whole)}, false, ImGuiWindowFlags_NoScrollWithMouse);
    draw_lanes(panes);
    ImGui::EndChild();
    ImGui::PopStyleVar();
    if (!low) draw_overview(panes, {strip_x_, origin_.y + size.y - overview}, overview);
    draw_cursor(panes, origin_.y, size.y - overview - 4 * unit);
  }

 private:
  [[nodiscard]] float x_of(std::uint64_t icount) const {
    const double share = (static_cast<double>(icount) - static_cast<double>(view_.from)) /
                         static_cast<double>(view_.to - view_.from);
    return strip_x_ + static_cast<float>(share * strip_width_);
  }
  [[nodiscard]] std::uint64_t icount_at(float x) const {
    const double share = std::clamp(static_cast<double>(x - strip_x_) / strip_width_, 0.0, 1.0);
    return view_.from + static_cast<std::uint64_t>(share * static_cast<double>(view_.to - view_.from));
  }

  void prepare(const Panes& panes) {
    const std::uint64_t first = panes.model.first.icount.value, last = panes.model.last.icount.value;
    Span& view = panes.shared.view;
    if (view.empty()) view = {first, std::max(last, first + 1)};
    view.from = std::clamp(view.from, first, std::max(first, last - 1));
    view.to = std::clamp(view.to, view.from + 1, std::max(last, view.from + 1));
    view_ = view;
    if (panes.model.activity.get() == known_ && panes.theme.dark == dark_) return;
    known_ = panes.model.activity.get();
    dark_ = panes.theme.dark;
    rows_.clear();
    const auto& lanes = panes.model.activity->lanes();
    std::vector<std::size_t> order(lanes.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::ranges::sort(order, [&](std::size_t a, std::size_t b) {
      return std::tie(lanes[a].group, lanes[a].vector, lanes[a].name) <
             std::tie(lanes[b].group, lanes[b].vector, lanes[b].name);
    });
    rows_.push_back({"marks", panes.theme.cursor, {}, 0, true});
    for (const std::size_t lane : order)
      rows_.push_back({lanes[lane].name, panes.theme.lane(lanes[lane].group), lane,
                       panes.model.activity->total(lane), false});
    rows_.push_back({"snapshots", panes.theme.faint, {}, 0, false});
    cached_ = {};
  }

  void draw_ruler(const Panes& panes, ImVec2 at, float height) {
    ImDrawList* list = ImGui::GetWindowDrawList();
    ImGui::SetCursorScreenPos(at);
    ImGui::InvisibleButton("ruler", {strip_width_, height});
    name_place(panes, "timeline ruler");
    if (ImGui::IsItemActive()) {
      const std::uint64_t to = icount_at(ImGui::GetIO().MousePos.x);
      if (to != scrubbed_ || ImGui::IsItemActivated()) panes.perform(fmt::format("seek {}", to));
      scrubbed_ = to;
    }
    if (ImGui::IsItemHovered() && !ImGui::IsItemActive())
      tip(panes, grouped(icount_at(ImGui::GetIO().MousePos.x)) + "\ndrag to scrub, wheel zooms");
    wheel(panes, ImGui::IsItemHovered());
    const std::uint64_t step = tick_step(view_.to - view_.from, strip_width_ / (110 * panes.scale));
    ImGui::PushFont(panes.fonts.mono);
    for (std::uint64_t tick = (view_.from + step - 1) / step * step; tick <= view_.to; tick += step) {
      const float x = std::floor(x_of(tick));
      list->AddLine({x, at.y + height - 5 * panes.scale}, {x, at.y + height}, panes.theme.faint);
      const std::string text = short_count(tick);
      const float width = ImGui::CalcTextSize(text.c_str()).x;
      const float left = std::clamp(x - width / 2, strip_x_, strip_x_ + strip_width_ - width);
      // The cursor's sign hangs where the text would be.
      const float cursor = x_of(panes.model.now.icount.value), room = 7 * panes.scale;
      if (cursor < left - room || cursor > left + width + room)
        list->AddText({left, at.y}, panes.theme.faint, text.c_str());
      if (tick > ~std::uint64_t{0} - step) break;
    }
    ImGui::PopFont();
  }

  void wheel(const Panes& panes, bool hovered) {
    const ImGuiIO& io = ImGui::GetIO();
    if (!hovered || (io.MouseWheel == 0.0F && io.MouseWheelH == 0.0F)) return;
    const double width = static_cast<double>(view_.to - view_.from);
    const double first = static_cast<double>(panes.model.first.icount.value),
                 last = static_cast<double>(panes.model.last.icount.value);
    double from = static_cast<double>(view_.from), to = static_cast<double>(view_.to);
    if (io.KeyShift || io.MouseWheelH != 0.0F) {
      const double by = -(io.MouseWheel + io.MouseWheelH) * width * 0.1;
      const double shift = std::clamp(by, first - from, last - to);
      from += shift;
      to += shift;
    } else {
      const double centre = static_cast<double>(icount_at(io.MousePos.x));
      const double factor = std::pow(0.8, static_cast<double>(io.MouseWheel));
      if (width * factor < 20) return;
      from = centre - (centre - from) * factor;
      to = centre + (to - centre) * factor;
    }
    panes.shared.view = {static_cast<std::uint64_t>(std::max(from, first)),
                         static_cast<std::uint64_t>(std::min(to, last))};
  }

  void draw_lanes(const Panes& panes) {
    ImDrawList* list = ImGui::GetWindowDrawList();
    const ImVec2 at = ImGui::GetCursorScreenPos();
    const float height =
        std::max(row_height_ * static_cast<float>(rows_.size()), ImGui::GetContentRegionAvail().y - 1);
    ImGui::InvisibleButton("strip", {label_width_ + strip_width_, height});
    name_place(panes, "timeline lanes");
    const bool hovered = ImGui::IsItemHovered();
    count(panes);  // first: what is pointed at may be a row that has just come
    handle_mouse(panes, hovered, at.y);
    ImGui::PushFont(panes.fonts.mono);
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      const float y = at.y + row_height_ * static_cast<float>(i);
      if (i % 2 == 0)
        list->AddRectFilled({origin_.x, y}, {strip_x_ + strip_width_, y + row_height_},
                            with_alpha(panes.theme.row, 0.55F));
      const float text_y = y + (row_height_ - ImGui::GetFontSize()) / 2;
      list->PushClipRect({origin_.x, y}, {strip_x_ - 6 * panes.scale, y + row_height_}, true);
      list->AddText({origin_.x + 4 * panes.scale, text_y}, panes.theme.text, rows_[i].name.c_str());
      list->PopClipRect();
      if (rows_[i].lane)
        draw_density(list, rows_[i], counts_[i], y, panes.scale);
      else if (rows_[i].marks)
        draw_marks(panes, list, y);
      else
        draw_snapshots(panes, list, y);
    }
    ImGui::PopFont();
    draw_selection(panes, list, at.y, height);
    const Position gathered = panes.model.activity->gathered_to();
    if (gathered < panes.model.last && gathered.icount.value < view_.to) {
      const float x = std::max(x_of(std::max(gathered.icount.value, view_.from)), strip_x_);
      list->AddRectFilled({x, at.y + row_height_}, {strip_x_ + strip_width_, at.y + height},
                          with_alpha(panes.theme.faint, 0.12F));
    }
  }

  void count(const Panes& panes) {
    const auto columns = static_cast<std::size_t>(strip_width_ / (2 * panes.scale));
    const Cached wanted{known_, view_.from, view_.to, columns};
    if (wanted == cached_) return;
    cached_ = wanted;
    counts_.assign(rows_.size(), {});
    for (std::size_t i = 0; i < rows_.size(); ++i)
      if (rows_[i].lane)
        counts_[i] = panes.model.activity->density(*rows_[i].lane, view_.from, view_.to, columns);
  }

  void draw_density(ImDrawList* list, const Row& row, const std::vector<std::uint32_t>& counts, float y,
                    float scale) const {
    const std::uint32_t most = counts.empty() ? 0 : *std::ranges::max_element(counts);
    if (most == 0) return;
    const float full = row_height_ - 2 * scale, width = strip_width_ / static_cast<float>(counts.size());
    const float levels = std::log2(1.0F + static_cast<float>(most));
    // Neighbours of the same height are one rectangle. Six heights tell as much as the eye sees.
    const auto level = [&](std::uint32_t count) {
      return count == 0 ? 0
                        : 1 + static_cast<int>(5.0F * std::log2(1.0F + static_cast<float>(count)) / levels);
    };
    for (std::size_t i = 0; i < counts.size();) {
      const int height = level(counts[i]);
      std::size_t end = i + 1;
      while (end < counts.size() && level(counts[end]) == height) ++end;
      if (height > 0) {
        const float top =
            y + row_height_ - scale - full * (0.25F + 0.75F * static_cast<float>(height) / 6.0F);
        list->AddRectFilled({strip_x_ + width * static_cast<float>(i), top},
                            {strip_x_ + width * static_cast<float>(end), y + row_height_ - scale},
                            with_alpha(row.colour, 0.45F + 0.55F * static_cast<float>(height) / 6.0F));
      }
      i = end;
    }
  }

  void draw_marks(const Panes& panes, ImDrawList* list, float y) const {
    std::vector<const session::MarkInfo*> marks;
    for (const session::MarkInfo& mark : *panes.model.marks)
      if (mark.at.icount.value >= view_.from && mark.at.icount.value <= view_.to) marks.push_back(&mark);
    std::ranges::stable_sort(marks, {}, [](const session::MarkInfo* mark) { return mark->at; });
    float free = 0;  // where the next name has room
    for (const session::MarkInfo* mark : marks) {
      const float x = x_of(mark->at.icount.value), r = 4 * panes.scale;
      list->AddTriangleFilled({x - r, y + 2}, {x + r, y + 2}, {x, y + 2 + 2 * r}, panes.theme.cursor);
      // Beside the sign, at its left where the strip ends.
      const float width = ImGui::CalcTextSize(mark->name.c_str()).x;
      const bool right = x + r + 3 + width <= strip_x_ + strip_width_;
      const float left = right ? x + r + 3 : x - r - 3 - width;
      if (left < free) continue;
      list->AddText({left, y}, panes.theme.cursor, mark->name.c_str());
      free = x + 2 * r + 6 + width;
    }
  }

  void draw_snapshots(const Panes& panes, ImDrawList* list, float y) const {
    for (const session::SnapshotInfo& snapshot : *panes.model.snapshots) {
      const std::uint64_t at = snapshot.at.icount.value;
      if (at < view_.from || at > view_.to) continue;
      const float x = std::floor(x_of(at)), inset = (snapshot.in_trace ? 2.0F : 5.0F) * panes.scale;
      list->AddRectFilled({x, y + inset}, {x + 2 * panes.scale, y + row_height_ - inset},
                          snapshot.in_trace ? panes.theme.accent : panes.theme.faint);
    }
  }

  void draw_selection(const Panes& panes, ImDrawList* list, float y, float height) const {
    const Span selection = panes.shared.selection;
    if (selection.empty() || selection.to < view_.from || selection.from > view_.to) return;
    const float left = std::max(strip_x_, x_of(selection.from)),
                right = std::min(strip_x_ + strip_width_, x_of(selection.to));
    list->AddRectFilled({left, y}, {right, y + height}, with_alpha(panes.theme.accent, 0.18F));
    list->AddLine({left, y}, {left, y + height}, panes.theme.accent);
    list->AddLine({right, y}, {right, y + height}, panes.theme.accent);
  }

  void handle_mouse(const Panes& panes, bool hovered, float top) {
    const ImGuiIO& io = ImGui::GetIO();
    const bool names = io.MousePos.x < strip_x_;
    wheel(panes, hovered && !names);
    if (hovered && names && io.MouseWheel != 0.0F)
      ImGui::SetScrollY(ImGui::GetScrollY() - io.MouseWheel * 2 * row_height_);
    if (names && !dragging_) {
      if (const auto row = row_at(io.MousePos.y, top); hovered && row) tell_row(panes, rows_[*row]);
      return;
    }
    if (hovered && ImGui::IsMouseClicked(ImGuiMouseButton_Left)) {
      dragging_ = true;
      drag_from_ = io.MousePos.x;
    }
    if (hovered && ImGui::IsMouseClicked(ImGuiMouseButton_Right)) panes.shared.selection = {};
    if (dragging_) {
      const float from = std::min(drag_from_, io.MousePos.x), to = std::max(drag_from_, io.MousePos.x);
      const bool wide = to - from > 4 * panes.scale;
      if (wide) panes.shared.selection = {icount_at(from), icount_at(to)};
      if (ImGui::IsMouseReleased(ImGuiMouseButton_Left)) {
        dragging_ = false;
        if (!wide) panes.perform(fmt::format("seek {}", snapped(panes, io.MousePos, top)));
      }
    } else if (hovered) {
      tell(panes, io.MousePos, top);
    }
  }

  /// What a row is about, in full.
  static void tell_row(const Panes& panes, const Row& row) {
    if (!row.lane) {
      tip(panes, row.marks
                     ? "marks: names for instants, kept in the trace (Ctrl+B)"
                     : "snapshots: kept in the trace where they are high, in memory where they are low");
      return;
    }
    const LaneInfo& lane = panes.model.activity->lanes()[*row.lane];
    std::string text = fmt::format("{}: {} in all", row.name, grouped(row.total));
    if (lane.group == LaneInfo::Group::interrupts && panes.model.system)
      for (const GateRow& gate : panes.model.system->idt)
        if (gate.vector == lane.vector) text += "\nhandled by " + gate.where;
    tip(panes, text);
  }

  [[nodiscard]] std::optional<std::size_t> row_at(float y, float top) const {
    const auto row = static_cast<std::size_t>(std::max(0.0F, (y - top) / row_height_));
    if (row >= rows_.size()) return std::nullopt;
    return row;
  }

  /// The happening that is pointed at, or the place.
  [[nodiscard]] std::uint64_t snapped(const Panes& panes, ImVec2 mouse, float top) const {
    const std::uint64_t place = icount_at(mouse.x);
    const auto row = row_at(mouse.y, top);
    if (!row) return place;
    const std::uint64_t reach = icount_at(mouse.x + 4) - place;
    if (rows_[*row].lane)
      return panes.model.activity->nearest(*rows_[*row].lane, place, reach).value_or(place);
    if (!rows_[*row].marks) return place;
    for (const session::MarkInfo& mark : *panes.model.marks) {
      const std::uint64_t at = mark.at.icount.value;
      if ((at > place ? at - place : place - at) <= 2 * reach) return at;
    }
    return place;
  }

  void tell(const Panes& panes, ImVec2 mouse, float top) const {
    const auto row = row_at(mouse.y, top);
    std::string text = grouped(icount_at(mouse.x));
    if (row && rows_[*row].lane) {
      const auto& counts = counts_[*row];
      const auto column =
          static_cast<std::size_t>((mouse.x - strip_x_) / strip_width_ * static_cast<float>(counts.size()));
      text += fmt::format("\n{}: {} here, {} in all", rows_[*row].name,
                          column < counts.size() ? counts[column] : 0, grouped(rows_[*row].total));
      const std::uint64_t place = snapped(panes, mouse, top);
      for (const auto& item : panes.model.activity->items(place, place + 1, 64)) {
        if (panes.model.activity->lane_of(*item.stretch, *item.what) != *rows_[*row].lane) continue;
        text += fmt::format("\nat {}: {}", text_of(item.what->at), words(item));
        break;
      }
    } else if (row && rows_[*row].marks) {
      const std::uint64_t place = snapped(panes, mouse, top);
      for (const session::MarkInfo& mark : *panes.model.marks)
        if (mark.at.icount.value == place)
          text += "\n" + mark.name + (mark.note.empty() ? "" : ": " + mark.note);
    }
    tip(panes, text + "\nclick goes there, drag selects, wheel zooms");
  }

  /// The whole trace, and which part of it is shown; dragging moves that.
  void draw_overview(const Panes& panes, ImVec2 at, float height) {
    ImDrawList* list = ImGui::GetWindowDrawList();
    const std::uint64_t first = panes.model.first.icount.value, last = panes.model.last.icount.value;
    const double all = std::max(1.0, static_cast<double>(last - first));
    const auto x = [&](std::uint64_t icount) {
      return at.x + static_cast<float>(static_cast<double>(icount - first) / all) * strip_width_;
    };
    ImGui::SetCursorScreenPos(at);
    ImGui::InvisibleButton("overview", {strip_width_, height});
    name_place(panes, "timeline overview");
    if (ImGui::IsItemHovered() && !ImGui::IsItemActive())
      tip(panes, "the whole trace, and the part of it that is shown\ndrag moves along it");
    if (ImGui::IsItemActive()) {
      const double share =
          std::clamp(static_cast<double>(ImGui::GetIO().MousePos.x - at.x) / strip_width_, 0.0, 1.0);
      const std::uint64_t width = view_.to - view_.from;
      const auto centre = first + static_cast<std::uint64_t>(share * all);
      const std::uint64_t from = std::min(last - std::min(last, width), centre - std::min(centre, width / 2));
      panes.shared.view = {std::max(from, first), std::max(from, first) + width};
    }
    list->AddRectFilled(at, {at.x + strip_width_, at.y + height}, panes.theme.row, 3);
    const float left = x(view_.from), right = std::max(x(view_.to), left + 3);
    list->AddRectFilled({left, at.y}, {right, at.y + height}, panes.theme.accent_soft, 3);
    list->AddRect({left, at.y}, {right, at.y + height}, panes.theme.accent, 3);
    const float cursor = x(std::clamp(panes.model.now.icount.value, first, last));
    list->AddRectFilled({cursor - 1, at.y}, {cursor + 1, at.y + height}, panes.theme.cursor);
    ImGui::PushFont(panes.fonts.mono);
    list->AddText({origin_.x + 4 * panes.scale, at.y + std::floor((height - ImGui::GetFontSize()) / 2)},
                  panes.theme.faint, "whole trace");
    ImGui::PopFont();
  }

  void draw_cursor(const Panes& panes, float y, float height) const {
    const std::uint64_t now = panes.model.now.icount.value;
    if (now < view_.from || now > view_.to) return;
    ImDrawList* list = ImGui::GetWindowDrawList();
    const float x = std::floor(x_of(now)), r = 5 * panes.scale;
    list->AddRectFilled({x - 0.5F, y + 14 * panes.scale}, {x + 1.5F, y + height}, panes.theme.cursor);
    list->AddTriangleFilled({x - r, y + 9 * panes.scale}, {x + r, y + 9 * panes.scale},
                            {x + 0.5F, y + 18 * panes.scale}, panes.theme.cursor);
  }

  struct Cached {
    const ActivityIndex* index = nullptr;
    std::uint64_t from = 0, to = 0;
    std::size_t columns = 0;
    friend bool operator==(const Cached&, const Cached&) = default;
  };

  Span view_;
  const ActivityIndex* known_ = nullptr;
  bool dark_ = true;
  std::vector<Row> rows_;
  std::vector<std::vector<std::uint32_t>> counts_;
  Cached cached_;
  ImVec2 origin_;
  float label_width_ = 0, row_height_ = 0, strip_x_ = 0, strip_width_ = 0;
  bool dragging_ = false;
  float drag_from_ = 0;
  std::uint64_t scrubbed_ = 0;
};

}  // namespace

std::unique_ptr<Panel> make_timeline_panel() { return std::make_unique<TimelinePanel>(); }

}  // namespace hindsight::debugger::ui
