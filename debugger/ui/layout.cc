#include "debugger/ui/layout.h"

#include <algorithm>
#include <cstdlib>
#include <functional>

namespace hindsight::debugger::ui {
namespace {

constexpr std::string_view kStandard =
    "(column 0.27 [timeline*] (row 0.405 (column 0.58 [code* source] [memory* variables walk query calls "
    "diff])"
    " (row 0.445 (column 0.6 [registers* system] [stack* bookmarks])"
    " (column 0.56 [console* log] [devices* tasks modules events]))))";

void each_leaf(LayoutNode& node, const std::function<void(LayoutNode&)>& visit) {
  if (node.kind == LayoutNode::Kind::tabs) return visit(node);
  each_leaf(*node.first, visit);
  each_leaf(*node.second, visit);
}

void write(const LayoutNode& node, std::string& out) {
  if (node.kind == LayoutNode::Kind::tabs) {
    out += '[';
    for (std::size_t i = 0; i < node.panels.size(); ++i)
      out += fmt::format("{}{}{}", i == 0 ? "" : " ", node.panels[i], i == node.active ? "*" : "");
    out += ']';
    return;
  }
  out += fmt::format("({} {:.3f} ", node.kind == LayoutNode::Kind::row ? "row" : "column", node.share);
  write(*node.first, out);
  out += ' ';
  write(*node.second, out);
  out += ')';
}

class Parser final {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  std::unique_ptr<LayoutNode> node(int depth = 0) {
    constexpr int kDeepest = 16;
    if (depth > kDeepest) return nullptr;
    auto made = std::make_unique<LayoutNode>();
    if (take('[')) {
      while (!take(']')) {
        std::string name = word();
        if (name.empty()) return nullptr;
        if (name.back() == '*') {
          name.pop_back();
          made->active = made->panels.size();
        }
        made->panels.push_back(name);
      }
      return made;
    }
    if (!take('(')) return nullptr;
    const std::string kind = word();
    if (kind != "row" && kind != "column") return nullptr;
    made->kind = kind == "row" ? LayoutNode::Kind::row : LayoutNode::Kind::column;
    made->share = std::clamp(std::strtof(word().c_str(), nullptr), 0.05F, 0.95F);
    made->first = node(depth + 1);
    made->second = made->first ? node(depth + 1) : nullptr;
    return made->second && take(')') ? std::move(made) : nullptr;
  }

  bool at_end() {
    skip();
    return at_ == text_.size();
  }

 private:
  void skip() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
  }
  bool take(char wanted) {
    skip();
    if (at_ == text_.size() || text_[at_] != wanted) return false;
    ++at_;
    return true;
  }
  std::string word() {
    skip();
    const std::size_t begin = at_;
    while (at_ < text_.size() && std::string_view(" \n[]()").find(text_[at_]) == std::string_view::npos)
      ++at_;
    return std::string(text_.substr(begin, at_ - begin));
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

Layout Layout::standard() {
  auto parsed = parse(kStandard);
  return std::move(*parsed);
}

Result<Layout> Layout::parse(std::string_view text) {
  Parser parser(text);
  auto root = parser.node();
  if (!root || !parser.at_end())
    return error("a layout such as (row 0.5 [timeline] [code]) was expected, found \"{}\"", text);
  return Layout(std::move(root));
}

std::string Layout::text() const {
  std::string out;
  write(*root_, out);
  return out;
}

bool Layout::show(std::string_view panel) {
  bool found = false;
  each_leaf(*root_, [&](LayoutNode& leaf) {
    const auto at = std::ranges::find(leaf.panels, panel);
    if (at == leaf.panels.end()) return;
    leaf.active = static_cast<std::size_t>(at - leaf.panels.begin());
    found = true;
  });
  return found;
}

void Layout::add(const std::string& panel) {
  if (show(panel)) return;
  LayoutNode* last = nullptr;
  each_leaf(*root_, [&](LayoutNode& leaf) { last = &leaf; });
  last->panels.push_back(panel);
  last->active = last->panels.size() - 1;
}

std::vector<std::string> Layout::visible() const {
  std::vector<std::string> names;
  each_leaf(*root_, [&](LayoutNode& leaf) {
    if (leaf.active < leaf.panels.size()) names.push_back(leaf.panels[leaf.active]);
  });
  return names;
}

void Layout::move(const std::string& panel, const std::string& beside) {
  if (panel == beside) return;
  LayoutNode* to = nullptr;
  each_leaf(*root_, [&](LayoutNode& leaf) {
    if (std::ranges::find(leaf.panels, beside) != leaf.panels.end()) to = &leaf;
  });
  if (to == nullptr) return;
  // The last panel of a leaf stays: an empty leaf would be a hole.
  bool alone = false;
  each_leaf(*root_, [&](LayoutNode& leaf) {
    const auto at = std::ranges::find(leaf.panels, panel);
    if (at == leaf.panels.end() || &leaf == to) return;
    alone = leaf.panels.size() == 1;
    if (alone) return;
    leaf.panels.erase(at);
    leaf.active = std::min(leaf.active, leaf.panels.size() - 1);
  });
  if (alone) return;
  if (std::ranges::find(to->panels, panel) == to->panels.end()) to->panels.push_back(panel);
  to->active = static_cast<std::size_t>(std::ranges::find(to->panels, panel) - to->panels.begin());
}

}  // namespace hindsight::debugger::ui
