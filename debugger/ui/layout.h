// How the window is divided: a tree of rows and columns whose leaves hold panels as tabs. Kept between runs
// as one line of text. Owned by the window; its thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"

namespace hindsight::debugger::ui {

struct LayoutNode {
  enum class Kind : std::uint8_t { tabs, row, column } kind = Kind::tabs;
  float share = 0.5F;  ///< of the first half
  std::unique_ptr<LayoutNode> first, second;
  std::vector<std::string> panels;  ///< of a leaf
  std::size_t active = 0;
};

class Layout final {
 public:
  /// The one to begin with.
  static Layout standard();
  /// "(column 0.23 [timeline] (row 0.5 [code memory*] [console*]))": a star marks the tab in front.
  static Result<Layout> parse(std::string_view text);
  [[nodiscard]] std::string text() const;

  [[nodiscard]] LayoutNode& root() { return *root_; }
  /// Brings a panel to the front; false if it is nowhere.
  bool show(std::string_view panel);
  /// The same; a panel that is nowhere joins those it is beside in the standard layout, else the last leaf.
  void add(const std::string& panel);
  /// The panels that are in front.
  [[nodiscard]] std::vector<std::string> visible() const;
  /// Every panel that is somewhere, in front or not.
  [[nodiscard]] std::vector<std::string> panels() const;

  // What takes a panel away gives the place of a leaf that is empty then to its neighbour.

  /// Moves a panel into the leaf that holds `beside`, in front.
  void move(const std::string& panel, const std::string& beside);
  enum class Side : std::uint8_t { left, right, above, below };
  /// Gives a panel half of the place of the leaf that holds `beside`, which may be the panel itself.
  void split(const std::string& panel, const std::string& beside, Side side);
  /// False if the panel is nowhere, or the last one.
  bool close(const std::string& panel);

 private:
  [[nodiscard]] LayoutNode* leaf_of(std::string_view panel) const;
  void take_away(const std::string& panel, LayoutNode& leaf);

  explicit Layout(std::unique_ptr<LayoutNode> root) : root_(std::move(root)) {}
  std::unique_ptr<LayoutNode> root_;
};

}  // namespace hindsight::debugger::ui
