// Snapshots, their pages and marks in a trace file: what is written is read, and what is wrong is said.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <random>

#include "traces/store/trace_editor.h"
#include "traces/store/trace_reader.h"
#include "traces/store/trace_writer.h"

namespace hindsight::traces::store {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Bytes page_of(int value) { return Bytes(kPageSize, static_cast<std::byte>(value)); }

class SnapshotStore : public testing::Test {
 protected:
  SnapshotStore() {
    static int counter = 0;
    path_ = testing::TempDir() + fmt::format("hindsight_snapstore_{}_{}.trace", getpid(), counter++);
    std::filesystem::remove(path_);
  }
  ~SnapshotStore() override { std::filesystem::remove(path_); }

  /// A trace with three stored pages and one snapshot, which `alter` may spoil.
  void write(const std::function<void(SnapshotRecord&, TraceWriter&)>& alter = {}) {
    WriterOptions options;
    options.sync = false;
    options.commit_interval = std::chrono::milliseconds(2);
    auto writer = TraceWriter::create(path_, options);
    ASSERT_TRUE(writer) << writer.failure().message;
    ASSERT_TRUE((*writer)->begin(MachineConfig{}));
    Bytes data;
    std::vector<Hash128> hashes;
    for (int i = 1; i <= 3; ++i) {
      const Bytes page = page_of(i);
      data.insert(data.end(), page.begin(), page.end());
      hashes.push_back(hash_of(page));
    }
    (*writer)->put_pages(kFirstPage, hashes, data);
    SnapshotRecord snapshot;
    snapshot.at = {Icount(1000), 2};
    snapshot.time = VirtualTime(1234);
    snapshot.channels = {{1, 77, 0}};
    snapshot.ram_pages = kRegionPages + 10;
    snapshot.base = {5, 6};
    snapshot.parts.push_back(put_part(**writer, "cpu0", Bytes(64, std::byte{9})));
    snapshot.parts.push_back(put_part(**writer, "disk", Bytes(3'000'000, std::byte{8})));
    snapshot.regions = {(*writer)->put_piece(encode(std::vector<PageRun>{
                            {5, 2, PageKind::stored, kFirstPage + 1}, {100, 8, PageKind::base, 3}})),
                        {}};
    if (alter) alter(snapshot, **writer);
    (*writer)->put_snapshot(snapshot, (*writer)->begin_snapshot());
    ASSERT_TRUE((*writer)->finish(
        {{Icount(2000), VirtualTime(2000)}, EndReason::power_off, {footprint(1000, 2000)}}));
  }
  std::unique_ptr<TraceReader> open() {
    auto reader = TraceReader::open(path_);
    EXPECT_TRUE(reader) << reader.failure().message;
    return reader ? std::move(*reader) : nullptr;
  }
  /// What check_all says of the one snapshot as `alter` leaves it.
  std::string complaint(const std::function<void(SnapshotRecord&, TraceWriter&)>& alter) {
    write(alter);
    const Status checked = open()->check_all();
    return checked ? "nothing" : checked.failure().message;
  }
  /// Sets of pages that one byte tells apart.
  static Footprint footprint(std::uint64_t from, std::uint64_t to) {
    Footprint made{
        {Icount(from), 0}, {Icount(to), 1}, Bytes(kPageSetBytes), Bytes(kPageSetBytes), Bytes(kLineSetBytes)};
    made.ram_written[1] = made.written[2] = made.executed[3] = std::byte{1};
    return made;
  }
  static void put_runs(SnapshotRecord& snapshot, TraceWriter& writer, const std::vector<PageRun>& runs) {
    snapshot.regions[0] = writer.put_piece(encode(runs));
  }

  std::string path_;
};

TEST_F(SnapshotStore, WhatWasWrittenIsRead) {
  write();
  const auto reader = open();
  ASSERT_TRUE(reader->check_all());
  ASSERT_EQ(reader->snapshot_count(), 1u);
  EXPECT_EQ(reader->snapshot_place(0), (Place{Icount(1000), 2}));
  const auto snapshot = reader->snapshot(0);
  ASSERT_TRUE(snapshot) << snapshot.failure().message;
  EXPECT_EQ(snapshot->time, VirtualTime(1234));
  EXPECT_EQ(snapshot->base, (Hash128{5, 6}));
  EXPECT_EQ(snapshot->channels.at(0).bytes, 77u);
  EXPECT_EQ(*reader->part_state(snapshot->parts.at(0)), Bytes(64, std::byte{9}));
  EXPECT_EQ(*reader->part_state(snapshot->parts.at(1)), Bytes(3'000'000, std::byte{8}));
  const auto runs = reader->page_runs(*snapshot);
  ASSERT_TRUE(runs) << runs.failure().message;
  EXPECT_THAT(*runs, ElementsAre(PageRun{5, 2, PageKind::stored, 2}, PageRun{100, 8, PageKind::base, 3}));
  EXPECT_EQ(*reader->page_end(), 4u);
  std::array<std::byte, kPageSize> page;
  ASSERT_TRUE(reader->page(3, page));
  EXPECT_EQ(page[77], std::byte{3});
  EXPECT_THAT(*reader->page_hashes(),
              ElementsAre(hash_of(page_of(1)), hash_of(page_of(2)), hash_of(page_of(3))));
}

TEST_F(SnapshotStore, FootprintsOfAllStretchesAreReadInOrder) {
  write([](SnapshotRecord& snapshot, TraceWriter&) {
    snapshot.footprints = {footprint(0, 500), footprint(500, 1000)};
  });
  const auto reader = open();
  ASSERT_TRUE(reader->check_all());
  const std::vector<Footprint> all = reader->footprints();
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[1].from, (Place{Icount(500), 0}));
  EXPECT_EQ(all[1].to, (Place{Icount(1000), 1}));
  EXPECT_EQ(all[1].ram_written, footprint(500, 1000).ram_written);
  EXPECT_EQ(all[1].written, footprint(500, 1000).written);
  EXPECT_EQ(all[1].executed, footprint(500, 1000).executed);
  EXPECT_EQ(all[2].from.icount, Icount(1000));
}

TEST_F(SnapshotStore, AFootprintMayTellOnlyWhatWasWrittenOrOnlyWhatWasExecuted) {
  write([](SnapshotRecord& snapshot, TraceWriter&) {
    snapshot.footprints = {footprint(0, 500), footprint(0, 500)};
    snapshot.footprints[0].executed.clear();
    snapshot.footprints[1].ram_written.clear();
    snapshot.footprints[1].written.clear();
  });
  const auto reader = open();
  ASSERT_TRUE(reader->check_all());
  const std::vector<Footprint> all = reader->footprints();
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0].written, footprint(0, 500).written);
  EXPECT_TRUE(all[0].executed.empty());
  EXPECT_TRUE(all[1].ram_written.empty());
  EXPECT_TRUE(all[1].written.empty());
  EXPECT_EQ(all[1].executed, footprint(0, 500).executed);
}

TEST_F(SnapshotStore, AFootprintOfAnotherSizeIsRefused) {
  EXPECT_THAT(complaint([](SnapshotRecord& snapshot, TraceWriter&) {
                snapshot.footprints = {footprint(0, 500)};
                snapshot.footprints[0].written.pop_back();
              }),
              HasSubstr("a set of pages of 8192 bytes expected, found 8191"));
}

TEST_F(SnapshotStore, AFootprintThatEndsWhereItBeginsIsRefused) {
  EXPECT_THAT(
      complaint([](SnapshotRecord& snapshot, TraceWriter&) { snapshot.footprints = {footprint(500, 400)}; }),
      HasSubstr("a footprint that ends after icount 500 expected, found icount 400"));
}

TEST_F(SnapshotStore, APageThatIsNotThereIsAnError) {
  write();
  const auto reader = open();
  std::array<std::byte, kPageSize> page;
  EXPECT_THAT(reader->page(4, page).failure().message, HasSubstr("page 4 expected, the last is 3"));
  EXPECT_FALSE(reader->page(0, page));
}

TEST_F(SnapshotStore, RunsOfPagesBeyondTheStoredOnesAreRefused) {
  EXPECT_THAT(complaint([](SnapshotRecord& snapshot, TraceWriter& writer) {
                put_runs(snapshot, writer, {{5, 2, PageKind::stored, 3}});
              }),
              HasSubstr("pages that there are expected"));
}

TEST_F(SnapshotStore, RunsThatWrapAroundAreRefused) {
  EXPECT_THAT(complaint([](SnapshotRecord& snapshot, TraceWriter& writer) {
                put_runs(snapshot, writer, {{5, 2, PageKind::base, ~std::uint64_t{0}}});
              }),
              HasSubstr("pages that there are expected"));
}

TEST_F(SnapshotStore, RunsBeyondTheEndOfRamAreRefused) {
  EXPECT_THAT(complaint([](SnapshotRecord& snapshot, TraceWriter& writer) {
                const std::vector<PageRun> runs = {{kRegionPages + 9, 2, PageKind::zero, 0}};
                snapshot.regions[1] = writer.put_piece(encode(runs));
              }),
              HasSubstr("pages that there are expected"));
}

TEST_F(SnapshotStore, RunsOutOfTheirRegionOrOrderAreRefused) {
  EXPECT_THAT(complaint([](SnapshotRecord& snapshot, TraceWriter& writer) {
                put_runs(snapshot, writer, {{kRegionPages - 1, 2, PageKind::zero, 0}});
              }),
              HasSubstr("page runs in order"));
  std::filesystem::remove(path_);
  EXPECT_THAT(complaint([](SnapshotRecord& snapshot, TraceWriter& writer) {
                put_runs(snapshot, writer, {{9, 2, PageKind::zero, 0}, {10, 1, PageKind::zero, 0}});
              }),
              HasSubstr("page runs in order"));
}

TEST_F(SnapshotStore, ASnapshotWithoutARegionIsRefused) {
  EXPECT_THAT(complaint([](SnapshotRecord& snapshot, TraceWriter&) { snapshot.regions.pop_back(); }),
              HasSubstr("a region for each 4096 of 4106 pages expected, found 1"));
}

TEST_F(SnapshotStore, AStateThatIsNotAsLongAsItSaysIsRefused) {
  EXPECT_THAT(complaint([](SnapshotRecord& snapshot, TraceWriter&) { snapshot.parts[0].size = 128; }),
              HasSubstr("state of the part 'cpu0' of 128 bytes"));
}

TEST_F(SnapshotStore, ASnapshotAheadOfTheEventsIsRefused) {
  EXPECT_THAT(complaint([](SnapshotRecord& snapshot, TraceWriter&) { snapshot.event = 1; }),
              HasSubstr("at most chunk 0 and event 0 expected, found 0 and 1"));
}

TEST_F(SnapshotStore, AMissingPieceIsNamed) {
  EXPECT_THAT(complaint([](SnapshotRecord& snapshot, TraceWriter&) {
                snapshot.regions[1] = {{1, 2}, 8};
              }),
              HasSubstr("nothing there"));
}

TEST_F(SnapshotStore, APageUnderAWrongHashIsFound) {
  EXPECT_THAT(complaint([](SnapshotRecord&, TraceWriter& writer) {
                writer.put_pages(4, std::vector<Hash128>{{1, 2}}, page_of(4));
              }),
              HasSubstr("page 4 of its hash expected"));
}

TEST_F(SnapshotStore, AGapInTheNumbersOfPagesIsFound) {
  EXPECT_THAT(complaint([](SnapshotRecord&, TraceWriter& writer) {
                writer.put_pages(9, std::vector<Hash128>{hash_of(page_of(4))}, page_of(4));
              }),
              HasSubstr("hashes expected, found 3"));
}

TEST_F(SnapshotStore, MarksThatAreSetWhileItIsRecordedAreReplacedAndRemovedByName) {
  write([](SnapshotRecord&, TraceWriter& writer) {
    writer.set_mark({"a", "first", {Icount(1), 0}});
    writer.set_mark({"b", "", {Icount(2), 1}});
    ASSERT_TRUE(writer.flush());
    writer.set_mark({"a", "second", {Icount(3), 0}});
    writer.set_mark({"c", "", {Icount(4), 0}});
    writer.remove_mark("b");
    writer.remove_mark("c");
    writer.remove_mark("never set");
  });
  const auto marks = open()->marks();
  ASSERT_TRUE(marks);
  ASSERT_EQ(marks->size(), 1U);
  EXPECT_EQ(marks->front().note, "second");
  EXPECT_EQ(marks->front().at.icount, Icount(3));
}

TEST_F(SnapshotStore, AnEditorAddsToWhatThereIs) {
  write();
  const auto before = open();
  {
    auto editor = TraceEditor::open(path_, before->transaction());
    ASSERT_TRUE(editor) << editor.failure().message;
    SnapshotRecord second = *before->snapshot(0);
    second.at = {Icount(1500), 0};
    (*editor)->put_pages(4, std::vector<Hash128>{hash_of(page_of(4))}, page_of(4));
    const std::vector<PageRun> runs = {{5, 1, PageKind::stored, 4}};
    second.regions[0] = (*editor)->put_piece(encode(runs));
    (*editor)->put_piece(encode(runs));
    (*editor)->put_snapshot(second);
    ASSERT_TRUE((*editor)->commit());
    const auto other = TraceEditor::open(path_, open()->transaction());
    EXPECT_FALSE(other) << "two at once";
  }
  const auto after = open();
  ASSERT_TRUE(after->check_all()) << after->check_all().failure().message;
  EXPECT_EQ(after->snapshot_count(), 2u);
  EXPECT_EQ(*after->page_end(), 5u);
  EXPECT_EQ(before->snapshot_count(), 1u);
  EXPECT_TRUE(before->check_all());
}

TEST_F(SnapshotStore, AnEditorThatFailsLeavesTheTraceAsItWas) {
  write();
  const std::uint64_t transaction = open()->transaction();
  {
    auto editor = TraceEditor::open(path_, transaction);
    ASSERT_TRUE(editor);
    (*editor)->put_pages(4, std::vector<Hash128>{hash_of(page_of(4))}, page_of(4));
  }  // without a commit
  EXPECT_EQ(open()->transaction(), transaction);
  EXPECT_EQ(*open()->page_end(), 4u);
}

TEST_F(SnapshotStore, AFileThatIsNoTraceIsNotEdited) {
  write();
  std::filesystem::resize_file(path_, std::filesystem::file_size(path_) / 2);
  EXPECT_FALSE(TraceEditor::open(path_, 1));
}

}  // namespace
}  // namespace hindsight::traces::store
