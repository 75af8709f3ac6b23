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

/// The split of which `leaf` is a half; nullptr: it is all there is.
std::unique_ptr<LayoutNode>* parent_of(std::unique_ptr<LayoutNode>& node, const LayoutNode* leaf) {
  if (node->kind == LayoutNode::Kind::tabs) return nullptr;
  if (node->first.get() == leaf || node->second.get() == leaf) return &node;
  if (auto* found = parent_of(node->first, leaf)) return found;
  return parent_of(node->second, leaf);
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
      if (made->panels.empty()) return nullptr;
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

LayoutNode* Layout::leaf_of(std::string_view panel) const {
  LayoutNode* found = nullptr;
  each_leaf(*root_, [&](LayoutNode& leaf) {
    if (std::ranges::find(leaf.panels, panel) != leaf.panels.end()) found = &leaf;
  });
  return found;
}

bool Layout::show(std::string_view panel) {
  LayoutNode* leaf = leaf_of(panel);
  if (leaf == nullptr) return false;
  leaf->active = static_cast<std::size_t>(std::ranges::find(leaf->panels, panel) - leaf->panels.begin());
  return true;
}

void Layout::add(const std::string& panel) {
  if (show(panel)) return;
  LayoutNode* to = nullptr;
  const Layout usual = standard();
  if (const LayoutNode* home = usual.leaf_of(panel))
    for (const std::string& neighbour : home->panels)
      if (to == nullptr) to = leaf_of(neighbour);
  if (to == nullptr) each_leaf(*root_, [&](LayoutNode& leaf) { to = &leaf; });
  to->panels.push_back(panel);
  to->active = to->panels.size() - 1;
}

std::vector<std::string> Layout::visible() const {
  std::vector<std::string> names;
  each_leaf(*root_, [&](LayoutNode& leaf) {
    if (leaf.active < leaf.panels.size()) names.push_back(leaf.panels[leaf.active]);
  });
  return names;
}

std::vector<std::string> Layout::panels() const {
  std::vector<std::string> names;
  each_leaf(*root_,
            [&](LayoutNode& leaf) { names.insert(names.end(), leaf.panels.begin(), leaf.panels.end()); });
  return names;
}

void Layout::take_away(const std::string& panel, LayoutNode& leaf) {
  const auto at = std::ranges::find(leaf.panels, panel);
  if (static_cast<std::size_t>(at - leaf.panels.begin()) < leaf.active) --leaf.active;
  leaf.panels.erase(at);
  if (!leaf.panels.empty()) {
    leaf.active = std::min(leaf.active, leaf.panels.size() - 1);
    return;
  }
  std::unique_ptr<LayoutNode>* split = parent_of(root_, &leaf);
  if (split == nullptr) return;
  auto rest = std::move((*split)->first.get() == &leaf ? (*split)->second : (*split)->first);
  *split = std::move(rest);
}

void Layout::move(const std::string& panel, const std::string& beside) {
  LayoutNode *from = leaf_of(panel), *to = leaf_of(beside);
  if (to == nullptr || panel == beside) return;
  if (from != to) {
    to->panels.push_back(panel);
    if (from != nullptr) take_away(panel, *from);
  }
  show(panel);
}

void Layout::split(const std::string& panel, const std::string& beside, Side side) {
  LayoutNode *from = leaf_of(panel), *leaf = leaf_of(beside);
  if (leaf == nullptr || (from == leaf && leaf->panels.size() == 1)) return;
  auto alone = std::make_unique<LayoutNode>();
  alone->panels.push_back(panel);
  auto others = std::make_unique<LayoutNode>(std::move(*leaf));
  LayoutNode& rest = *others;
  const bool before = side == Side::left || side == Side::above;
  *leaf = LayoutNode{
      .kind = side == Side::left || side == Side::right ? LayoutNode::Kind::row : LayoutNode::Kind::column,
      .first = std::move(before ? alone : others),
      .second = std::move(before ? others : alone),
      .panels = {}};
  if (from != nullptr) take_away(panel, from == leaf ? rest : *from);
}

bool Layout::close(const std::string& panel) {
  LayoutNode* leaf = leaf_of(panel);
  if (leaf == nullptr || panels().size() == 1) return false;
  take_away(panel, *leaf);
  return true;
}

}  // namespace hindsight::debugger::ui
