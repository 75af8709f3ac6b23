// Traces written anew: what a replay needs stays the same, what nothing refers to goes, and the file is
// replaced at once or not at all.
#include "traces/store/rewrite.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <random>

#include "traces/store/trace_editor.h"
#include "traces/store/trace_reader.h"
#include "traces/store/trace_writer.h"

namespace hindsight::traces::store {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class Rewrite : public testing::Test {
 protected:
  Rewrite() { std::filesystem::create_directories(folder_); }
  ~Rewrite() override { std::filesystem::remove_all(folder_); }

  [[nodiscard]] std::string path(const std::string& name) const { return folder_ + "/" + name; }

  static Bytes page_of(int value) { return Bytes(kPageSize, static_cast<std::byte>(value)); }
  static Footprint footprint(std::uint64_t from, std::uint64_t to) {
    const Bytes none(kPageSetBytes);
    return {{Icount(from), 0}, {Icount(to), 0}, none, none, Bytes(kLineSetBytes)};
  }
  static Bytes noise(std::size_t size, unsigned seed) {
    std::mt19937 random(seed);
    Bytes bytes(size);
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
    return bytes;
  }

  /// A snapshot that holds three stored pages, of which `own` is its own and the others are those of the
  /// others.
  static SnapshotRecord snapshot(TraceWriter& writer, std::uint64_t at, std::uint64_t own) {
    SnapshotRecord record;
    record.at = {Icount(at), 0};
    record.ram_pages = 200;
    record.parts.push_back(put_part(writer, "disk", noise(100'000, static_cast<unsigned>(at))));
    record.regions = {writer.put_piece(encode(std::vector<PageRun>{
        {5, 1, PageKind::stored, own}, {6, 1, PageKind::stored, 70}, {9, 3, PageKind::base, 1}}))};
    record.footprints = {footprint(at - 1000, at)};
    return record;
  }
  /// 80 pages; snapshots at 1000, 2000 and 3000 with the pages 1, 2 and 80 of their own, and 70 in common.
  void write(const std::string& name, const MachineConfig& config = {}) const {
    WriterOptions options;
    options.sync = false;
    options.commit_interval = std::chrono::milliseconds(1);
    auto writer = TraceWriter::create(path(name), options);
    ASSERT_TRUE(writer) << writer.failure().message;
    MachineConfig full = config;
    full.kernel = (*writer)->put_blob("bzImage", noise(50'000, 1));
    (*writer)->put_blob("nobody's", noise(70'000, 2));
    ASSERT_TRUE((*writer)->begin(full));
    for (std::uint64_t first : {1, 65}) {
      const std::uint64_t count = first == 1 ? 64 : 16;
      Bytes data;
      std::vector<Hash128> hashes;
      for (std::uint64_t i = first; i < first + count; ++i) {
        const Bytes page = page_of(static_cast<int>(i));
        data.insert(data.end(), page.begin(), page.end());
        hashes.push_back(hash_of(page));
      }
      (*writer)->put_pages(first, hashes, data);
    }
    Event event;
    event.at = {Icount(1500), VirtualTime(1500)};
    event.channel = 1;
    event.payload = noise(kInlinePayload + 5, 3);
    event.size = static_cast<std::uint32_t>(event.payload.size());
    (*writer)->append(event);
    for (const auto& [at, own] : {std::pair{1000, 1}, {2000, 2}, {3000, 80}}) {
      (*writer)->put_snapshot(
          snapshot(**writer, static_cast<std::uint64_t>(at), static_cast<std::uint64_t>(own)),
          (*writer)->begin_snapshot());
    }
    ASSERT_TRUE((*writer)->finish(
        {{Icount(4000), VirtualTime(4000)}, EndReason::power_off, {footprint(3000, 4000)}}));
  }
  [[nodiscard]] std::unique_ptr<TraceReader> open(const std::string& name) const {
    auto reader = TraceReader::open(path(name));
    EXPECT_TRUE(reader) << reader.failure().message;
    if (!reader) return nullptr;
    const Status checked = (*reader)->check_all();
    EXPECT_TRUE(checked) << checked.failure().message;
    return std::move(*reader);
  }
  static std::vector<std::uint64_t> places(const TraceReader& reader) {
    std::vector<std::uint64_t> all;
    for (std::uint64_t i = 0; i < reader.snapshot_count(); ++i)
      all.push_back(reader.snapshot_place(i).icount.value);
    return all;
  }
  static std::byte first_byte(TraceReader& reader, std::uint64_t page) {
    std::array<std::byte, kPageSize> contents;
    EXPECT_TRUE(reader.page(page, contents));
    return contents[0];
  }
  static Event first_event(TraceReader& reader) {
    for (std::uint64_t i = 0; i < reader.chunk_count(); ++i) {
      const auto chunk = reader.chunk(i);
      if (chunk && !chunk->events.empty()) return chunk->events.front();
    }
    return {};
  }
  [[nodiscard]] std::string contents(const std::string& name) const {
    std::ifstream file(path(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  const std::string folder_ = testing::TempDir() + "hindsight_rewrite_" + std::to_string(getpid());
};

TEST_F(Rewrite, KeepsAllThatIsReferredToAndNothingElse) {
  write("a");
  ASSERT_TRUE(rewrite(path("a"), path("b"), {}));
  const auto a = open("a"), b = open("b");
  EXPECT_EQ(*a->identity(), *b->identity());
  EXPECT_EQ(*b->blob(b->config().kernel), noise(50'000, 1));
  EXPECT_EQ(*b->payload(first_event(*b)), noise(kInlinePayload + 5, 3));
  EXPECT_EQ(b->progress().events, 1u);
  EXPECT_EQ(b->end()->reason, EndReason::power_off);
  EXPECT_THAT(places(*b), ElementsAre(1000, 2000, 3000));
  EXPECT_EQ(b->footprints().size(), 4u);
  EXPECT_FALSE(b->blob(BlobRef{{}, 70'000, {{hash_of(noise(70'000, 2)), 70'000}}}));
  EXPECT_LT(std::filesystem::file_size(path("b")), std::filesystem::file_size(path("a")) - 60'000);
}

TEST_F(Rewrite, PagesOfSnapshotsThatGoGoWithThemAndTheOthersMoveUp) {
  write("a");
  RewriteOptions options;
  options.keep_snapshot = [](const Place& at) { return at.icount != Icount(2000); };
  ASSERT_TRUE(rewrite(path("a"), path("b"), options));
  const auto b = open("b");
  EXPECT_THAT(places(*b), ElementsAre(1000, 3000));
  EXPECT_EQ(*b->page_end(), 4u);
  EXPECT_THAT(*b->page_runs(*b->snapshot(1)),
              ElementsAre(PageRun{5, 1, PageKind::stored, 3}, PageRun{6, 1, PageKind::stored, 2},
                          PageRun{9, 3, PageKind::base, 1}));
  EXPECT_EQ(first_byte(*b, 1), std::byte{1});
  EXPECT_EQ(first_byte(*b, 2), std::byte{70});
  EXPECT_EQ(first_byte(*b, 3), std::byte{80});
  EXPECT_EQ(*b->part_state(b->snapshot(1)->parts.at(0)), noise(100'000, 3000));
  // What was known of the way to 2000 is still known.
  ASSERT_EQ(b->footprints().size(), 4u);
  EXPECT_EQ(b->footprints()[1].to.icount, Icount(2000));
}

TEST_F(Rewrite, WithoutSnapshotsThereAreNoPagesAndFootprints) {
  write("a");
  RewriteOptions options;
  options.keep_snapshot = [](const Place&) { return false; };
  options.footprints = false;
  ASSERT_TRUE(rewrite(path("a"), path("b"), options));
  const auto b = open("b");
  EXPECT_EQ(b->snapshot_count(), 0u);
  EXPECT_EQ(*b->page_end(), kFirstPage);
  EXPECT_TRUE(b->footprints().empty());
}

TEST_F(Rewrite, ABranchKeepsItsBeginning) {
  MachineConfig branch;
  branch.parent = {{1, 2}, "parent", {Icount(2000), VirtualTime(0)}, 0};
  write("a", branch);
  RewriteOptions options;
  options.keep_snapshot = [](const Place&) { return false; };
  ASSERT_TRUE(rewrite(path("a"), path("b"), options));
  EXPECT_THAT(places(*open("b")), ElementsAre(2000));
}

TEST_F(Rewrite, InPlaceReplacesTheFileAndWhoHadItOpenCannotAddToTheNewOne) {
  write("a");
  std::filesystem::permissions(path("a"),
                               std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  const auto before = open("a");
  ASSERT_TRUE(rewrite_in_place(path("a"), {}));
  EXPECT_EQ(std::filesystem::status(path("a")).permissions(),
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  EXPECT_TRUE(before->check_all());
  const auto editor = TraceEditor::open(path("a"), before->transaction());
  ASSERT_FALSE(editor);
  EXPECT_THAT(editor.failure().message, HasSubstr("open it again"));
  const auto after = open("a");
  EXPECT_GT(after->transaction(), before->transaction());
  const auto again = TraceEditor::open(path("a"), after->transaction());
  ASSERT_TRUE(again) << again.failure().message;
  (*again)->set_mark({"here", "", {Icount(1), 0}});
  EXPECT_TRUE((*again)->commit());
}

TEST_F(Rewrite, ATraceThatIsBeingWrittenIsLeftAlone) {
  write("a");
  const std::string before = contents("a");
  const int other = ::open(path("a").c_str(), O_RDONLY);
  ASSERT_EQ(::flock(other, LOCK_EX | LOCK_NB), 0);
  const Status done = rewrite_in_place(path("a"), {});
  ::close(other);
  ASSERT_FALSE(done);
  EXPECT_THAT(done.failure().message, HasSubstr("another program is writing it"));
  EXPECT_EQ(contents("a"), before);
}

TEST_F(Rewrite, OneThatIsKilledLeavesTheOriginalAndTheNextOneItsPlace) {
  write("a");
  const std::string before = contents("a");
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    RewriteOptions options;
    options.keep_snapshot = [](const Place& at) {
      if (at.icount == Icount(3000)) ::raise(SIGKILL);
      return true;
    };
    (void)rewrite_in_place(path("a"), options);
    _exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(contents("a"), before);
  EXPECT_TRUE(std::filesystem::exists(path("a.new")));
  EXPECT_TRUE(rewrite_in_place(path("a"), {}));
  EXPECT_FALSE(std::filesystem::exists(path("a.new")));
  EXPECT_THAT(places(*open("a")), ElementsAre(1000, 2000, 3000));
}

TEST_F(Rewrite, DamageIsToldAndLeavesNothing) {
  write("a");
  std::string damaged = contents("a");
  // Somewhere in the kernel's blob.
  const Bytes kernel = noise(50'000, 1);
  const std::string part(reinterpret_cast<const char*>(kernel.data()) + 1000, 32);
  const std::size_t at = damaged.find(part);
  ASSERT_NE(at, std::string::npos);
  damaged[at] = static_cast<char>(damaged[at] ^ 1);
  std::ofstream(path("a"), std::ios::binary) << damaged;
  const Status done = rewrite(path("a"), path("b"), {});
  ASSERT_FALSE(done);
  EXPECT_THAT(done.failure().message, HasSubstr("table blobs"));
  EXPECT_FALSE(std::filesystem::exists(path("b")));
}

}  // namespace
}  // namespace hindsight::traces::store
