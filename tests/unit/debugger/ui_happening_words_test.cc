#include <gmock/gmock.h>

#include "debugger/ui/happening_words.h"

namespace hindsight::debugger::ui {
namespace {

using session::Happening;

Happening happening(Happening::Kind kind) {
  Happening what;
  what.kind = kind;
  return what;
}

/// In words, in a stretch where 0x1000 is known as "start+0x0".
std::string words_of(Happening what) {
  Stretch stretch;
  stretch.activity.sources = {"hpet"};
  stretch.names = {{0x1000, "start+0x0"}, {0x431c2f4, "0x431c2f4"}};
  return words({&stretch, &what});
}

TEST(UiHappeningWords, AnExceptionHasItsMnemonicAndAnErrorWhereItPushesOne) {
  Happening what = happening(Happening::Kind::exception);
  what.pc = GuestVirt{0x1000};
  what.vector = 14;
  what.value = 0x12;
  EXPECT_EQ(words_of(what), "#PF, error 12, at start+0x0");
  what.vector = 1;
  EXPECT_EQ(words_of(what), "#DB at start+0x0");
  what.vector = 31;
  EXPECT_EQ(words_of(what), "vector 1f at start+0x0");
}

TEST(UiHappeningWords, APlaceWithoutASymbolIsAnAddressOfSixteenDigits) {
  Happening what = happening(Happening::Kind::interrupt);
  what.vector = 0xEC;
  what.pc = GuestVirt{0x431c2f4};
  EXPECT_EQ(words_of(what), "vector ec at 000000000431c2f4");
  what.pc = GuestVirt{0xffff};
  EXPECT_EQ(words_of(what), "vector ec at 000000000000ffff");
}

TEST(UiHappeningWords, ASystemCallHasItsNameIfThereIsOne) {
  Happening what = happening(Happening::Kind::system_call);
  what.value = 59;
  EXPECT_EQ(words_of(what), "execve (59)");
  what.value = 425;
  EXPECT_EQ(words_of(what), "io_uring_setup (425)");
  what.value = 400;
  EXPECT_EQ(words_of(what), "number 400");
}

TEST(UiHappeningWords, AnAccessOfADeviceTellsWhichWayTheValueWent) {
  Happening what = happening(Happening::Kind::device_read);
  what.address = 0xf0;
  what.value = 0x12;
  EXPECT_EQ(words_of(what), "hpet f0 -> 12");
  what.kind = Happening::Kind::device_write;
  EXPECT_EQ(words_of(what), "hpet f0 <- 12");
}

}  // namespace
}  // namespace hindsight::debugger::ui
