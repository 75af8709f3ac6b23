#include "debugger/query/profile.h"

#include <fmt/format.h>

#include <memory>

#include "debugger/query/shadow_stacks.h"
#include "replay/timeline/survey.h"

namespace hindsight::debugger::query {
namespace {

namespace port = engine::port;
using engine::port::Machine;

constexpr std::string_view kCpu = "cpu0";
constexpr std::size_t kMostFrames = 256;
constexpr std::uint64_t kStackBytes = 16 * 1024;

/// Counts one piece.
class Profiler final : public replay::timeline::Onlooker, private ShadowStacks::Guest {
 public:
  explicit Profiler(const symbols::GuestKernel* kernel) : kernel_(kernel), stacks_(tree_, *this) {}

  void begin(Machine& machine, Position) override {
    machine_ = &machine;
    stacks_.begin(machine.debug().position().icount);
  }
  bool transfer(const port::Transfer& transfer) override {
    stacks_.transfer(transfer);
    return false;
  }
  bool delivery(const port::Delivery& delivery) override {
    stacks_.delivery(delivery);
    return false;
  }
  void end(Machine& machine) override { stacks_.end(machine.debug().position().icount); }
  [[nodiscard]] const CallTree& tree() const { return tree_; }

 private:
  Function function_of(GuestVirt pc) override {
    const auto [known, is_new] = functions_.try_emplace(pc.value, kNoSymbol);
    if (is_new && kernel_ != nullptr) known->second = look_up(pc);
    return known->second;
  }
  [[nodiscard]] Function look_up(GuestVirt pc) const {
    const auto location = kernel_->at(pc);
    if (!location) return kNoSymbol;
    // What Linux's functions jump to instead of returning, on CPUs that need it or before it is known.
    for (const std::string_view thunk : {"__x86_return_thunk", "retbleed_return_thunk", "srso_return_thunk",
                                         "srso_alias_return_thunk", "its_return_thunk"})
      if (location->symbol.name == thunk) return kWithin;
    // The part of a function that compilers put far away is that function still.
    constexpr std::string_view kCold = ".cold";
    if (const auto cold = location->symbol.name.find(kCold); cold != std::string_view::npos)
      for (const symbols::Symbol& whole : kernel_->find_symbol(location->symbol.name.substr(0, cold)))
        if (whole.is_text() && whole.module == location->symbol.module) return whole.address;
    return location->symbol.address;
  }

  std::vector<ShadowStacks::Frame> unwound() override {
    const auto view = symbols::view_of(*machine_, kCpu);
    if (!view || kernel_ == nullptr) return {};
    if (view->registers.cpl != 0) return {{kUser}};
    const auto stack = kernel_->unwind(view->registers, view->memory, kMostFrames);
    if (!stack) return {};
    std::vector<ShadowStacks::Frame> frames;
    if (stack->end == symbols::Stack::End::user) frames.push_back({kUser});
    for (std::size_t i = stack->frames.size(); i-- > 0;) {
      const symbols::Frame& frame = stack->frames[i];
      std::uint64_t slot = ShadowStacks::kUnknown;
      if (i + 1 < stack->frames.size()) {
        // The caller may stand on another stack: then what is left of this one is the frame's.
        const std::uint64_t end = (frame.sp.value | (kStackBytes - 1)) + 1,
                            caller = stack->frames[i + 1].sp.value;
        slot = (caller > frame.sp.value && caller <= end ? caller : end) - 8;
      }
      frames.push_back({function_of(frame.lookup_pc(i == 0)), slot});
    }
    return frames;
  }
  bool in_user() override {
    const auto view = symbols::view_of(*machine_, kCpu);
    return view && view->registers.cpl != 0;
  }

  const symbols::GuestKernel* kernel_;
  Machine* machine_ = nullptr;
  CallTree tree_;
  ShadowStacks stacks_;
  std::unordered_map<std::uint64_t, Function> functions_;  ///< by address; a cache, never walked
};

}  // namespace

Result<CallTree> profile(Queries& queries, Stretch within) {
  const port::Interests interests{
      .breakpoints = {}, .ranges = {}, .deliveries = true, .transfers = true, .user_calls = false};
  CallTree tree;
  const Status observed = queries.timeline().observe(
      interests, within.from, within.to, [&] { return std::make_unique<Profiler>(queries.kernel()); },
      [&](replay::timeline::Onlooker& piece) {
        tree.add(static_cast<Profiler&>(piece).tree());
        return true;
      });
  if (!observed) return observed.failure();
  return tree;
}

std::string function_name(const Queries& queries, Function function) {
  if (function == kUser) return "(user)";
  const std::string name = function == kNoSymbol || function == kWithin ? "" : queries.name(function);
  return name.empty() ? "(no symbol)" : name;
}

std::string folded(const Queries& queries, const CallTree& tree) {
  std::vector<std::string> paths(tree.size());
  std::string text;
  for (CallTree::Index node = CallTree::kRoot + 1; node < tree.size(); ++node) {
    const std::string& above = paths[tree[node].parent];
    paths[node] = (above.empty() ? "" : above + ";") + function_name(queries, tree[node].function);
    if (tree[node].self != 0) text += fmt::format("{} {}\n", paths[node], tree[node].self);
  }
  return text;
}

}  // namespace hindsight::debugger::query
