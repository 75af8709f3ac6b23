// Shadow call stacks on made-up guests: functions are 0x100 bytes long, stacks 16 KiB.
#include "debugger/query/shadow_stacks.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace hindsight::debugger::query {
namespace {

using engine::port::Delivery;
using engine::port::Transfer;

constexpr std::uint64_t kKernel = 0xffff'ffff'8100'0000, kStackA = 0xffff'c900'0000'4000,
                        kStackB = 0xffff'c900'0001'4000, kUserCode = 0x40'1000;
/// Kernel functions by number, and places in them.
constexpr std::uint64_t code(unsigned function, unsigned offset = 0) {
  return kKernel + function * 0x100 + offset;
}

class ShadowStacksOfAGuest : public testing::Test, protected ShadowStacks::Guest {
 protected:
  Function function_of(GuestVirt pc) override {
    return pc.value < kKernel ? kNoSymbol : Function{pc.value & ~std::uint64_t{0xff}};
  }
  std::vector<ShadowStacks::Frame> unwound() override {
    ++unwindings_;
    return stack_;
  }
  bool in_user() override { return user_; }

  void transfer(Transfer::Kind kind, std::uint64_t at, std::uint64_t from, std::uint64_t to,
                std::uint64_t stack) {
    stacks_.transfer({kind, {Icount{at}}, GuestVirt{from}, GuestVirt{to}, stack});
  }
  void call(std::uint64_t at, std::uint64_t from, std::uint64_t to, std::uint64_t stack) {
    transfer(Transfer::Kind::call, at, from, to, stack);
  }
  void ret(std::uint64_t at, std::uint64_t from, std::uint64_t to, std::uint64_t stack) {
    transfer(Transfer::Kind::ret, at, from, to, stack);
  }
  void interrupt(std::uint64_t at, std::uint64_t pc, std::uint64_t handler, std::uint64_t stack) {
    stacks_.delivery({.at = {Icount{at}},
                      .pc = GuestVirt{pc},
                      .handler = GuestVirt{handler},
                      .interrupt = true,
                      .vector = 32,
                      .error_code = {},
                      .stack = stack});
  }
  /// "outer/inner self calls" of each place that has any, sorted.
  std::vector<std::string> counted() {
    std::vector<std::string> paths(tree_.size()), lines;
    for (CallTree::Index node = 1; node < tree_.size(); ++node) {
      const Function function = tree_[node].function;
      const std::string name = function == kUser       ? "user"
                               : function == kNoSymbol ? "none"
                                                       : std::to_string((function.value - kKernel) / 0x100);
      paths[node] = paths[tree_[node].parent] + "/" + name;
      lines.push_back(paths[node] + " " + std::to_string(tree_[node].self) + " " +
                      std::to_string(tree_[node].calls));
    }
    std::ranges::sort(lines);
    return lines;
  }
  using Lines = std::vector<std::string>;

  std::vector<ShadowStacks::Frame> stack_{{GuestVirt{code(1)}}};
  bool user_ = false;
  int unwindings_ = 0;
  CallTree tree_;
  ShadowStacks stacks_{tree_, *this};
};

TEST_F(ShadowStacksOfAGuest, ACallAndItsReturnCountForCallerAndCallee) {
  stacks_.begin(Icount{100});
  call(109, code(1, 5), code(2), kStackA - 8);
  ret(129, code(2, 9), code(1, 10), kStackA);
  stacks_.end(Icount{150});
  EXPECT_EQ(counted(), (Lines{"/1 30 0", "/1/2 20 1"}));
  EXPECT_EQ(tree_.totals()[CallTree::kRoot], 50U);
}

TEST_F(ShadowStacksOfAGuest, AFunctionLeftByAJumpGivesItsPlaceToTheOther) {
  stacks_.begin(Icount{0});
  call(9, code(1, 5), code(2), kStackA - 8);
  ret(19, code(3, 9), code(1, 10), kStackA);  // 2 jumped to 3
  stacks_.end(Icount{20});
  EXPECT_EQ(counted(), (Lines{"/1 10 0", "/1/2 0 1", "/1/3 10 1"}));
}

TEST_F(ShadowStacksOfAGuest, FramesThatAreJumpedOverAreLeft) {
  stacks_.begin(Icount{0});
  call(0, code(1, 5), code(2), kStackA - 8);
  call(1, code(2, 5), code(3), kStackA - 64);
  call(2, code(3, 5), code(4), kStackA - 128);
  call(9, code(1, 8), code(5), kStackA - 8);  // 4 came back to 1 as longjmp does
  stacks_.end(Icount{15});
  EXPECT_EQ(counted(), (Lines{"/1 8 0", "/1/2 1 1", "/1/2/3 1 1", "/1/2/3/4 0 1", "/1/5 5 1"}));
}

TEST_F(ShadowStacksOfAGuest, AnInterruptCountsBelowWhatItStruckAndIretEndsIt) {
  stacks_.begin(Icount{0});
  call(0, code(1, 5), code(2), kStackA - 8);
  interrupt(10, code(2, 5), code(7), kStackA - 80);
  call(14, code(7, 5), code(8), kStackA - 88);
  ret(19, code(8, 5), code(7, 6), kStackA - 80);
  transfer(Transfer::Kind::leave, 21, code(7, 9), code(2, 5), kStackA - 40);
  ret(29, code(2, 9), code(1, 6), kStackA);
  stacks_.end(Icount{30});
  EXPECT_EQ(counted(), (Lines{"/1 1 0", "/1/2 17 1", "/1/2/7 7 1", "/1/2/7/8 5 1"}));
}

TEST_F(ShadowStacksOfAGuest, AnIretThatLeavesNothingEndsNoFunction) {
  stacks_.begin(Icount{0});
  call(0, code(1, 5), code(2), kStackA - 8);
  transfer(Transfer::Kind::leave, 5, code(2, 5), code(2, 7), kStackA - 16);
  ret(9, code(2, 9), code(1, 6), kStackA);
  stacks_.end(Icount{10});
  EXPECT_EQ(counted(), (Lines{"/1 1 0", "/1/2 9 1"}));
}

TEST_F(ShadowStacksOfAGuest, ACallFromAnotherStackByTheSameFunctionIsStillWithinIt) {
  stacks_.begin(Icount{0});
  call(0, code(1, 5), code(2), kStackA - 8);
  call(4, code(2, 5), code(3), kStackB - 64);  // 2 went to the interrupts' stack
  ret(9, code(3, 5), code(2, 6), kStackB - 56);
  ret(14, code(2, 9), code(1, 6), kStackA);
  stacks_.end(Icount{20});
  EXPECT_EQ(counted(), (Lines{"/1 6 0", "/1/2 9 1", "/1/2/3 5 1"}));
  EXPECT_EQ(unwindings_, 1) << "only at the begin";
}

TEST_F(ShadowStacksOfAGuest, ASwitchedContextGoesOnWhereItWas) {
  stacks_.begin(Icount{0});
  call(0, code(1, 5), code(2), kStackA - 8);
  call(1, code(2, 5), code(9), kStackA - 64);  // 9 switches stacks
  stack_ = {{GuestVirt{code(5)}}, {GuestVirt{code(6)}, kStackB - 8}};
  ret(9, code(9, 5), code(6, 6), kStackB - 64);
  EXPECT_EQ(unwindings_, 2) << "a stack seen for the first time";
  call(14, code(6, 8), code(9), kStackB - 72);
  ret(19, code(9, 5), code(2, 6), kStackA - 56);
  ret(29, code(2, 9), code(1, 6), kStackA);
  stacks_.end(Icount{30});
  EXPECT_EQ(unwindings_, 2);
  EXPECT_EQ(counted(), (Lines{"/1 1 0", "/1/2 11 1", "/1/2/9 5 1", "/5 0 0", "/5/6 5 0", "/5/6/9 8 1"}));
}

TEST_F(ShadowStacksOfAGuest, UserSpaceIsOnePlaceAndItsSystemCallsAreBelowIt) {
  user_ = true;
  stack_ = {{kUser}};
  stacks_.begin(Icount{0});
  call(3, kUserCode, kUserCode + 0x1000, 0x7ffe'0000);
  transfer(Transfer::Kind::enter, 9, kUserCode + 0x1010, code(1), 0x7ffe'0000);
  user_ = false;
  call(14, code(1, 5), code(2), kStackA - 8);
  ret(19, code(2, 5), code(1, 6), kStackA);
  user_ = true;
  transfer(Transfer::Kind::leave, 24, code(1, 9), kUserCode + 0x1012, 0x7ffe'0000);
  stacks_.end(Icount{40});
  EXPECT_EQ(counted(), (Lines{"/user 25 0", "/user/1 10 1", "/user/1/2 5 1"}));
}

TEST(CallTree, ARecursiveFunctionsTotalCountsOnce) {
  CallTree tree;
  const Function f{GuestVirt{kKernel}}, g{GuestVirt{kKernel + 0x100}};
  const auto outer = tree.child(CallTree::kRoot, f), middle = tree.child(outer, g),
             inner = tree.child(middle, f);
  tree[outer].self = 1;
  tree[middle].self = 2;
  tree[inner].self = 4;
  const std::vector<FunctionProfile> functions = by_function(tree);
  ASSERT_EQ(functions.size(), 2U);
  EXPECT_EQ(functions[0].function, f);
  EXPECT_EQ(functions[0].self, 5U);
  EXPECT_EQ(functions[0].total, 7U);
  EXPECT_EQ(functions[1].total, 6U);
}

}  // namespace
}  // namespace hindsight::debugger::query
