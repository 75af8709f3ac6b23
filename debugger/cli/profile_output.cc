#include "debugger/cli/profile_output.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "debugger/cli/figures.h"
#include "debugger/cli/json_text.h"

namespace hindsight::debugger::cli {
namespace {

using query::CallTree;

double percent(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? 0 : 100 * static_cast<double>(part) / static_cast<double>(whole);
}

/// The tree from the root down, the largest branches first.
class TreeText {
 public:
  TreeText(const query::Queries& queries, const CallTree& tree, double least_percent, bool json)
      : queries_(queries), tree_(tree), totals_(tree.totals()), json_(json), children_(tree.size()) {
    const std::uint64_t all = totals_[CallTree::kRoot];
    for (CallTree::Index node = CallTree::kRoot + 1; node < tree.size(); ++node)
      if (percent(totals_[node], all) >= least_percent) children_[tree[node].parent].push_back(node);
    for (std::vector<CallTree::Index>& some : children_)
      std::ranges::stable_sort(some, [&](auto a, auto b) { return totals_[a] > totals_[b]; });
  }

  std::string text() {
    if (!json_)
      text_ = fmt::format("{:>7} {:>16} {:>16} {:>12}  {}\n", "total%", "total", "self", "calls", "function");
    // Deep recursion in the guest is none here.
    std::vector<std::pair<CallTree::Index, unsigned>> open;
    const auto open_children = [&](CallTree::Index node, unsigned depth) {
      for (auto child = children_[node].rbegin(); child != children_[node].rend(); ++child)
        open.emplace_back(*child, depth);
    };
    open_children(CallTree::kRoot, 0);
    while (!open.empty()) {
      const auto [node, depth] = open.back();
      open.pop_back();
      line(node, depth);
      open_children(node, depth + 1);
    }
    return std::move(text_);
  }

 private:
  void line(CallTree::Index node, unsigned depth) {
    const std::string name = query::function_name(queries_, tree_[node].function);
    if (json_) {
      text_ += fmt::format(
          "{{\"kind\":\"branch\",\"depth\":{},\"function\":{},\"total\":{},\"self\":{},\"calls\":{}}}\n",
          depth, json_string(name), totals_[node], tree_[node].self, tree_[node].calls);
      return;
    }
    text_ += fmt::format("{:>6.2f}% {:>16} {:>16} {:>12}  {:{}}{}\n",
                         percent(totals_[node], totals_[CallTree::kRoot]), grouped(totals_[node]),
                         grouped(tree_[node].self), grouped(tree_[node].calls), "", 2 * depth, name);
  }

  const query::Queries& queries_;
  const CallTree& tree_;
  const std::vector<std::uint64_t> totals_;
  const bool json_;
  std::vector<std::vector<CallTree::Index>> children_;
  std::string text_;
};

}  // namespace

std::string profile_table(const query::Queries& queries, const CallTree& tree, bool by_total,
                          std::uint64_t limit, bool json) {
  std::vector<query::FunctionProfile> functions = query::by_function(tree);
  const std::uint64_t all = tree.totals()[CallTree::kRoot];
  if (by_total)
    std::ranges::stable_sort(functions, [](const auto& a, const auto& b) { return a.total > b.total; });
  if (limit != 0 && functions.size() > limit) functions.resize(limit);
  std::string text;
  if (!json)
    text = fmt::format("{:>7} {:>16} {:>16} {:>12}  {}\n", "self%", "self", "total", "calls", "function");
  for (const query::FunctionProfile& function : functions) {
    const std::string name = query::function_name(queries, function.function);
    if (json) {
      text += fmt::format(
          "{{\"kind\":\"function\",\"function\":{},\"address\":\"{:#x}\",\"self\":{},\"total\":{},\"calls\":{"
          "}}}\n",
          json_string(name), function.function.value, function.self, function.total, function.calls);
    } else {
      text += fmt::format("{:>6.2f}% {:>16} {:>16} {:>12}  {}\n", percent(function.self, all),
                          grouped(function.self), grouped(function.total), grouped(function.calls), name);
    }
  }
  return text;
}

std::string profile_tree(const query::Queries& queries, const CallTree& tree, double least_percent,
                         bool json) {
  return TreeText(queries, tree, least_percent, json).text();
}

}  // namespace hindsight::debugger::cli
