// A stock kernel's run is stripped: what was planted in its disk, its network and its console is nowhere in
// the new trace, and that one replays to the same end.
#include <fmt/format.h>

#include <filesystem>

#include "tests/replay/guest_harness.h"
#include "traces/store/lmdb_file.h"
#include "traces/store/value.h"

namespace hindsight::tests {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
namespace store = traces::store;
namespace fs = std::filesystem;

/// Every value of every table, decoded, one after another: pages of snapshots, events, blobs, outputs,
/// digests.
std::string everything_in(const std::string& path) {
  const auto file = store::LmdbFile::open(path);
  if (!file) ADD_FAILURE() << file.failure().message;
  const auto tables = (*file)->tables();
  if (!tables) ADD_FAILURE() << tables.failure().message;
  std::string all;
  for (const auto& table : *tables) {
    const auto walked = (*file)->for_each(table.tree, [&](const store::LmdbFile::Record& record) {
      const auto stored = (*file)->value(record);
      if (!stored) return false;
      const auto kind = static_cast<store::ValueKind>(std::to_integer<unsigned>((*stored)[4]) |
                                                      std::to_integer<unsigned>((*stored)[5]) << 8);
      const auto raw = store::open(table.name, record.key, kind, *stored);
      EXPECT_TRUE(raw) << table.name;
      if (!raw) return false;
      all.append(reinterpret_cast<const char*>(raw->data()), raw->size());
      return true;
    });
    EXPECT_TRUE(walked) << table.name;
  }
  return all;
}

class GuestStrip : public GuestTest {
 protected:
  /// 16 MiB of ext4 with the files of the folder `tree`.
  std::vector<std::string> disk() {
    const Outcome made = run({"sh", "-c",
                              fmt::format("PATH=$PATH:/usr/sbin:/sbin; truncate -s 16M {0}; "
                                          "mke2fs -q -F -t ext4 -d {1} {0}",
                                          path("disk.img"), path("tree"))});
    EXPECT_EQ(made.code, 0) << made.text;
    return {"--disk", path("disk.img")};
  }
  static std::string lines(const std::string& text) {
    std::string all;
    for (int i = 1; i <= 200; ++i) all += fmt::format("line {}: {}\n", i, text);
    return all;
  }
};

TEST_F(GuestStrip, NoByteOfWhatIsReplacedIsLeftAnywhereAndTheRunIsTheSame) {
  fs::create_directories(path("tree"));
  fs::create_directories(path("www"));
  write("tree/diary", lines("DISK-SECRET-7391"));
  write("www/page", lines("NETWORK-SECRET-2284"));
  write(
      "typed",
      fmt::format("expect \"# \"\nsend \"mount -t ext4 /dev/vda /mnt; sha256sum /mnt/diary >/dev/null\\n\"\n"
                  "expect \"# \"\nsend \"ip link set eth0 up; ip addr add 10.0.2.15/24 dev eth0; "
                  "wget -q -O /dev/null http://10.0.2.2:{}/page; echo got $?\\n\"\n"
                  "expect \"# \"\nsend \"cat >/dev/null\\n\"\ndelay 100ms\n"
                  "send \"my TYPED-SECRET-5512\\n\"\ndelay 100ms\nsend \"\\x04\"\n"
                  "expect \"# \"\nsend \"poweroff -f\\n\"\n",
                  serve(path("www"))));
  std::vector<std::string> more = disk();
  more.insert(more.end(), {"--net", "user", "--script", path("typed"), "--seed", "7"});
  const Outcome recorded = run(record("t.trace", "quiet hs.modules=1", more));
  ASSERT_EQ(recorded.code, 0) << recorded.text;
  ASSERT_THAT(recorded.text, AllOf(HasSubstr("TYPED-SECRET-5512"), HasSubstr("got 0")));
  write("t.trace.expect", "console contains \"got 0\"\nends with power-off\nno oops\n");
  ASSERT_EQ(hindsight({"mark", "--at", "50%", path("t.trace"), "middle", "NOTE-SECRET"}).code, 0);
  const std::string before = everything_in(path("t.trace"));
  for (const char* secret : {"DISK-SECRET-7391", "NETWORK-SECRET-2284", "TYPED-SECRET-5512", "NOTE-SECRET"})
    EXPECT_THAT(before, HasSubstr(secret));

  const Outcome stripped = hindsight({"strip", path("t.trace"), "-o", path("s.trace")});
  ASSERT_EQ(stripped.code, 0) << stripped.text;
  EXPECT_THAT(stripped.text, AllOf(HasSubstr("disk "), HasSubstr("network "), HasSubstr("typed ")));
  const std::string after = everything_in(path("s.trace"));
  for (const char* secret : {"SECRET-7391", "SECRET-2284", "SECRET-5512", "NOTE-SECRET", "line 1"})
    EXPECT_EQ(after.find(secret), before.npos) << secret << stripped.text;
  expect_verified(path("s.trace"));
  EXPECT_EQ(end_of(path("s.trace")), end_of(path("t.trace")));
  EXPECT_EQ(hindsight({"expect", path("s.trace"), path("t.trace.expect")}).code, 0);
}

}  // namespace
}  // namespace hindsight::tests
