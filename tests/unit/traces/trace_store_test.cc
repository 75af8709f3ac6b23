#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <lmdb.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>

#include "traces/store/lmdb_file.h"
#include "traces/store/trace_reader.h"
#include "traces/store/trace_writer.h"
#include "traces/store/value.h"

namespace hindsight::traces::store {
namespace {

using testing::HasSubstr;

Bytes noise(std::size_t size, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  Bytes data(size);
  for (std::byte& byte : data) byte = static_cast<std::byte>(random());
  return data;
}

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void write_file(const std::string& path, const std::string& contents) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << contents;
}

Event input_at(std::uint64_t icount, std::size_t size) {
  return {EventKind::input,
          {Icount(icount), VirtualTime(icount)},
          1,
          0,
          static_cast<std::uint32_t>(size),
          noise(size, icount),
          {}};
}

class TraceStore : public testing::Test {
 protected:
  TraceStore() {
    static int counter = 0;
    path_ = testing::TempDir() + fmt::format("hindsight_store_{}_{}.trace", getpid(), counter++);
    std::filesystem::remove(path_);
  }
  ~TraceStore() override { std::filesystem::remove(path_); }

  static WriterOptions quick() {
    WriterOptions options;
    options.sync = false;
    options.commit_interval = std::chrono::milliseconds(2);
    return options;
  }

  /// A trace with something in every table that has a record, over several commits.
  void write_sample(std::uint64_t events) {
    auto writer = TraceWriter::create(path_, quick());
    ASSERT_TRUE(writer) << writer.failure().message;
    MachineConfig config;
    config.ram_bytes = 1 << 20;
    config.command_line = "console=ttyS0";
    config.kernel = (*writer)->put_blob("vmlinuz", noise(3'000'000, 1));
    ASSERT_TRUE((*writer)->begin(config));
    for (std::uint64_t i = 1; i <= events; ++i) {
      (*writer)->append(input_at(i * 10, i % 50));
      const Bytes text(i % 7, static_cast<std::byte>('a' + i % 26));
      (*writer)->output(1, sent_, 0, text, {});
      sent_ += text.size();
      if (i % 100 == 0) {
        Digest digest;
        digest.at = {Icount(i * 10), VirtualTime(i * 10)};
        digest.parts.push_back({"cpu0", i, noise(500, i)});
        digest.full = true;
        (*writer)->digest(digest);
        (*writer)->progress(digest.at);
        usleep(300);
      }
    }
    const Status finished =
        (*writer)->finish({{Icount(events * 10), VirtualTime(events * 10)}, EndReason::power_off});
    ASSERT_TRUE(finished) << finished.failure().message;
  }

  std::string path_;
  std::uint64_t sent_ = 0;
};

TEST_F(TraceStore, WhatIsWrittenIsReadBack) {
  write_sample(1000);
  auto reader = TraceReader::open(path_);
  ASSERT_TRUE(reader) << reader.failure().message;
  EXPECT_EQ((*reader)->config().ram_bytes, 1u << 20);
  EXPECT_EQ((*reader)->config().command_line, "console=ttyS0");
  EXPECT_EQ((*reader)->digest_count(), 10u);
  ASSERT_TRUE((*reader)->end());
  EXPECT_EQ((*reader)->end()->reason, EndReason::power_off);
  const auto kernel = (*reader)->blob((*reader)->config().kernel);
  ASSERT_TRUE(kernel);
  EXPECT_EQ(*kernel, noise(3'000'000, 1));
  std::uint64_t events = 0, sent = 0;
  for (std::uint64_t i = 0; i < (*reader)->chunk_count(); ++i) {
    const auto chunk = (*reader)->chunk(i);
    ASSERT_TRUE(chunk) << chunk.failure().message;
    EXPECT_EQ(chunk->first_event, events);
    for (const Event& event : chunk->events) {
      events++;
      EXPECT_EQ(event.at.icount, Icount(events * 10));
      EXPECT_EQ(event.payload, noise(events % 50, events * 10));
    }
    for (const OutputRun& run : chunk->outputs) {
      EXPECT_EQ(run.first_byte, sent);
      sent += run.bytes.size();
    }
  }
  EXPECT_EQ(events, 1000u);
  EXPECT_EQ(sent, sent_);
  const Status checked = (*reader)->check_all();
  EXPECT_TRUE(checked) << checked.failure().message;
}

TEST_F(TraceStore, AReaderThatIsOpenedAfterAFlushSeesAllThatWasHandedOver) {
  WriterOptions lazy;
  lazy.sync = false;
  lazy.commit_interval = std::chrono::hours(1);
  auto writer = TraceWriter::create(path_, lazy);
  ASSERT_TRUE(writer) << writer.failure().message;
  (*writer)->begin_soon(MachineConfig{});
  for (const std::uint64_t last : {10u, 11u, 30u}) {
    for (std::uint64_t i = (*writer)->begun() ? last - 5 : 0; i <= last; ++i)
      (*writer)->append(input_at(last * 1000 + i, 5));
    const Status flushed = (*writer)->flush();
    ASSERT_TRUE(flushed) << flushed.failure().message;
    const auto reader = TraceReader::open(path_);
    ASSERT_TRUE(reader) << reader.failure().message;
    const auto chunk = (*reader)->chunk((*reader)->chunk_count() - 1);
    ASSERT_TRUE(chunk) << chunk.failure().message;
    EXPECT_EQ(chunk->events.back().at.icount, Icount(last * 1000 + last));
  }
  EXPECT_TRUE((*writer)->flush()) << "with nothing to do";
  EXPECT_TRUE((*writer)->finish({{Icount(40'000), VirtualTime(40'000)}, EndReason::interrupted, {}}));
}

TEST_F(TraceStore, LmdbItselfReadsTheSameRecords) {
  write_sample(3000);
  auto file = LmdbFile::open(path_);
  ASSERT_TRUE(file);
  const auto tables = (*file)->tables();
  ASSERT_TRUE(tables);
  MDB_env* env = nullptr;
  ASSERT_EQ(mdb_env_create(&env), 0);
  mdb_env_set_maxdbs(env, 16);
  ASSERT_EQ(mdb_env_open(env, path_.c_str(), MDB_NOSUBDIR | MDB_NOLOCK | MDB_RDONLY, 0), 0);
  MDB_txn* transaction = nullptr;
  ASSERT_EQ(mdb_txn_begin(env, nullptr, MDB_RDONLY, &transaction), 0);
  std::uint64_t records = 0;
  for (const auto& table : *tables) {
    MDB_dbi dbi = 0;
    ASSERT_EQ(mdb_dbi_open(transaction, table.name.c_str(), 0, &dbi), 0);
    MDB_cursor* cursor = nullptr;
    ASSERT_EQ(mdb_cursor_open(transaction, dbi, &cursor), 0);
    const Status walked = (*file)->for_each(table.tree, [&](const LmdbFile::Record& record) {
      MDB_val key, value;
      EXPECT_EQ(mdb_cursor_get(cursor, &key, &value, MDB_NEXT), 0);
      const auto mine = (*file)->value(record);
      EXPECT_TRUE(mine);
      EXPECT_EQ(std::string(static_cast<char*>(key.mv_data), key.mv_size),
                std::string(reinterpret_cast<const char*>(record.key.data()), record.key.size()));
      EXPECT_EQ(value.mv_size, mine->size());
      EXPECT_EQ(std::memcmp(value.mv_data, mine->data(), mine->size()), 0);
      EXPECT_EQ(value.mv_size % 8, 0u);
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(value.mv_data) % 8, 0u);
      const auto found = (*file)->find(table.tree, record.key);
      EXPECT_TRUE(found && *found && (*found)->offset == record.offset);
      records++;
      return true;
    });
    EXPECT_TRUE(walked) << walked.failure().message;
    MDB_val key, value;
    EXPECT_EQ(mdb_cursor_get(cursor, &key, &value, MDB_NEXT), MDB_NOTFOUND);
    mdb_cursor_close(cursor);
  }
  EXPECT_GT(records, 30u);
  mdb_txn_abort(transaction);
  mdb_env_close(env);
}

TEST_F(TraceStore, FindingAmongManyRecordsFindsEachAndNoOther) {
  // Enough records for a tree of three levels.
  auto writer = TraceWriter::create(path_, quick());
  ASSERT_TRUE(writer);
  std::vector<Piece> pieces;
  for (std::uint64_t i = 0; i < 20'000; ++i) pieces.push_back((*writer)->put_piece(noise(40, i)));
  ASSERT_TRUE((*writer)->begin(MachineConfig{}));
  ASSERT_TRUE((*writer)->finish({}));
  auto reader = TraceReader::open(path_);
  ASSERT_TRUE(reader);
  Bytes out(40);
  for (std::uint64_t i = 0; i < pieces.size(); i += 97) {
    ASSERT_TRUE((*reader)->piece(pieces[i], out));
    ASSERT_EQ(out, noise(40, i));
  }
  const Status absent = (*reader)->piece(Piece{{1, 2}, 40}, out);
  ASSERT_FALSE(absent);
  EXPECT_THAT(absent.failure().message, HasSubstr("table blobs, key 0000000000000001.0000000000000002"));
}

TEST_F(TraceStore, EqualPiecesAreStoredOnce) {
  auto writer = TraceWriter::create(path_, quick());
  ASSERT_TRUE(writer);
  const Bytes block = noise(4096, 1);
  const Piece first = (*writer)->put_piece(block), second = (*writer)->put_piece(block);
  EXPECT_EQ(first, second);
  ASSERT_TRUE((*writer)->begin(MachineConfig{}));
  ASSERT_TRUE((*writer)->finish({}));
  auto reader = TraceReader::open(path_);
  ASSERT_TRUE(reader);
  EXPECT_EQ((*reader)->sizes()->front().records, 1u);
}

TEST_F(TraceStore, TheMapGrowsWhenItIsFull) {
  WriterOptions options = quick();
  options.initial_map = 1 << 20;
  auto writer = TraceWriter::create(path_, options);
  ASSERT_TRUE(writer);
  const BlobRef blob = (*writer)->put_blob("large", noise(20'000'000, 1));
  ASSERT_TRUE((*writer)->begin(MachineConfig{}));
  ASSERT_TRUE((*writer)->finish({}));
  auto reader = TraceReader::open(path_);
  ASSERT_TRUE(reader);
  EXPECT_TRUE((*reader)->blob(blob));
}

TEST_F(TraceStore, WhatIsWrittenBeforeTheHeaderIsCommittedComesAfterIt) {
  auto writer = TraceWriter::create(path_, quick());
  ASSERT_TRUE(writer);
  EXPECT_FALSE((*writer)->begun());
  const Bytes lent = noise(20'000'000, 1);
  MachineConfig config;
  config.kernel = (*writer)->lend_blob("large", lent);
  (*writer)->begin_soon(config);
  (*writer)->append(input_at(10, 5));
  (*writer)->progress({Icount(20), VirtualTime(20)});
  ASSERT_TRUE((*writer)->finish({{Icount(20), VirtualTime(20)}, EndReason::power_off}));
  EXPECT_TRUE((*writer)->begun());
  auto reader = TraceReader::open(path_);
  ASSERT_TRUE(reader) << reader.failure().message;
  EXPECT_EQ((*reader)->progress().events, 1u);
  const auto kernel = (*reader)->blob(config.kernel);
  ASSERT_TRUE(kernel);
  EXPECT_EQ(*kernel, lent);
}

TEST_F(TraceStore, AnExistingFileIsNotOverwritten) {
  write_file(path_, "precious");
  const auto writer = TraceWriter::create(path_);
  ASSERT_FALSE(writer);
  EXPECT_THAT(writer.failure().message, HasSubstr("cannot create: File exists"));
  EXPECT_EQ(read_file(path_), "precious");
}

TEST_F(TraceStore, AForeignFileIsRefusedByName) {
  write_file(path_, std::string(100'000, 'x'));
  const auto reader = TraceReader::open(path_);
  ASSERT_FALSE(reader);
  EXPECT_THAT(reader.failure().message, HasSubstr(path_ + ": not a trace"));
}

TEST_F(TraceStore, AFileTooSmallForATraceIsRefusedAsNone) {
  write_file(path_, "");
  EXPECT_EQ(TraceReader::open(path_).failure().message,
            path_ + ": not a trace: a file of 0 bytes is too small");
  write_file(path_, "my notes\n");
  EXPECT_EQ(TraceReader::open(path_).failure().message,
            path_ + ": not a trace: a file of 9 bytes is too small");
}

TEST_F(TraceStore, ADirectoryIsRefused) {
  const auto reader = TraceReader::open(testing::TempDir());
  ASSERT_FALSE(reader);
  EXPECT_THAT(reader.failure().message, HasSubstr("a regular file expected"));
}

/// Replaces or adds one record with LMDB itself, as another program would.
void put_record(const std::string& path, const char* table, const Bytes& key, const Bytes& value) {
  MDB_env* env = nullptr;
  ASSERT_EQ(mdb_env_create(&env), 0);
  mdb_env_set_maxdbs(env, 16);
  ASSERT_EQ(mdb_env_open(env, path.c_str(), MDB_NOSUBDIR | MDB_NOLOCK, 0), 0);
  MDB_txn* transaction = nullptr;
  MDB_dbi dbi = 0;
  ASSERT_EQ(mdb_txn_begin(env, nullptr, 0, &transaction), 0);
  ASSERT_EQ(mdb_dbi_open(transaction, table, MDB_CREATE, &dbi), 0);
  MDB_val k{key.size(), const_cast<std::byte*>(key.data())},
      v{value.size(), const_cast<std::byte*>(value.data())};
  ASSERT_EQ(mdb_put(transaction, dbi, &k, &v, 0), 0);
  ASSERT_EQ(mdb_txn_commit(transaction), 0);
  mdb_env_close(env);
}

TEST_F(TraceStore, ANewerFormatVersionIsRefused) {
  write_sample(10);
  Bytes header = encode(MachineConfig{});
  // TraceHeader's only data word, behind the segment table and the root pointer, is the version.
  header[16] = std::byte{3};
  put_record(path_, "meta", key_of(1), seal("meta", key_of(1), ValueKind::header, header));
  const auto reader = TraceReader::open(path_);
  ASSERT_FALSE(reader);
  EXPECT_THAT(reader.failure().message,
              HasSubstr("table meta, key 0000000000000001: format version 2 or older expected, found 3"));
}

TEST_F(TraceStore, ABranchNamesItsParentAndAnOlderReaderRefusesIt) {
  MachineConfig config;
  EXPECT_EQ(config.format_version(), 1u);
  config.parent = {{11, 12}, "parent.hst", {Icount(1000), VirtualTime(1500)}, 2};
  EXPECT_EQ(config.format_version(), 2u);
  const Result<MachineConfig> read = decode_config(encode(config));
  ASSERT_TRUE(read) << read.failure().message;
  ASSERT_TRUE(read->parent);
  EXPECT_EQ(read->parent->identity, (Hash128{11, 12}));
  EXPECT_EQ(read->parent->name, "parent.hst");
  EXPECT_EQ(read->parent->at, (Instant{Icount(1000), VirtualTime(1500)}));
  EXPECT_EQ(read->parent->delivery, 2u);
}

TEST_F(TraceStore, ARerunNamesTheTraceOfItsInputsAndIsOfTheFirstVersion) {
  MachineConfig config;
  config.rerun_of = {{11, 12}, "failed.hst", {}, 0};
  EXPECT_EQ(config.format_version(), 1u);
  const Result<MachineConfig> read = decode_config(encode(config));
  ASSERT_TRUE(read) << read.failure().message;
  EXPECT_FALSE(read->parent);
  ASSERT_TRUE(read->rerun_of);
  EXPECT_EQ(read->rerun_of->identity, (Hash128{11, 12}));
  EXPECT_EQ(read->rerun_of->name, "failed.hst");
}

TEST_F(TraceStore, ABranchWithoutASnapshotOfItsBeginningIsRefused) {
  {
    auto writer = TraceWriter::create(path_, quick());
    ASSERT_TRUE(writer) << writer.failure().message;
    MachineConfig config;
    config.parent = {{}, "parent.hst", {Icount(1000), VirtualTime(1500)}, 0};
    ASSERT_TRUE((*writer)->begin(config));
  }
  const auto reader = TraceReader::open(path_);
  ASSERT_FALSE(reader);
  EXPECT_THAT(reader.failure().message,
              HasSubstr("a branch with a snapshot of its beginning, icount 1000, expected"));
}

TEST_F(TraceStore, AnUnknownTableIsRefused) {
  write_sample(10);
  put_record(path_, "novelties", key_of(1), Bytes(8));
  const auto reader = TraceReader::open(path_);
  ASSERT_FALSE(reader);
  EXPECT_THAT(reader.failure().message, HasSubstr("table 'novelties' is unknown to format version 1"));
}

TEST_F(TraceStore, AnUnknownEventKindIsRefused) {
  write_sample(10);
  auto reader = TraceReader::open(path_);
  ASSERT_TRUE(reader);
  Result<Chunk> chunk = (*reader)->chunk(0);
  ASSERT_TRUE(chunk);
  chunk->events[0].kind = static_cast<EventKind>(77);
  const Bytes key = key_of(10, 0);
  put_record(path_, "events", key, seal("events", key, ValueKind::chunk, encode(*chunk)));
  reader = TraceReader::open(path_);
  ASSERT_TRUE(reader);
  const Result<Chunk> again = (*reader)->chunk(0);
  ASSERT_FALSE(again);
  EXPECT_THAT(again.failure().message, HasSubstr("event kind 1 (input) or 2 (sample) expected, found 77"));
  EXPECT_THAT(again.failure().message, HasSubstr("table events, key 000000000000000a.0000000000000000"));
}

TEST_F(TraceStore, AValueUnderAnotherKeyIsRefused) {
  const Bytes raw = noise(100, 1);
  const Bytes sealed = seal("blobs", key_of(1, 2), ValueKind::blob, raw);
  EXPECT_TRUE(open("blobs", key_of(1, 2), ValueKind::blob, sealed));
  EXPECT_FALSE(open("blobs", key_of(1, 3), ValueKind::blob, sealed));
  EXPECT_FALSE(open("pages", key_of(1, 2), ValueKind::blob, sealed));
  EXPECT_FALSE(open("blobs", key_of(1, 2), ValueKind::chunk, sealed));
}

TEST_F(TraceStore, ATraceWithoutAHeaderSaysThatTheRecorderWasInterrupted) {
  { auto writer = TraceWriter::create(path_, quick()); }
  const auto reader = TraceReader::open(path_);
  ASSERT_FALSE(reader);
  EXPECT_THAT(reader.failure().message, HasSubstr("interrupted before the machine started"));
}

/// Reads all there is. Says what a whole read of a damaged trace gives: an error, or no more than was
/// written.
std::string read_damaged(const std::string& path, std::uint64_t written) {
  auto reader = TraceReader::open(path);
  if (!reader) return reader.failure().message;
  const Status checked = (*reader)->check_all();
  if (!checked) return checked.failure().message;
  std::uint64_t next = 10;
  for (std::uint64_t i = 0; i < (*reader)->chunk_count(); ++i) {
    const auto chunk = (*reader)->chunk(i);
    if (!chunk) return chunk.failure().message;
    for (const Event& event : chunk->events) {
      if (event.at.icount != Icount(next) || event.payload != noise(next / 10 % 50, next))
        return "WRONG EVENT";
      next += 10;
    }
  }
  if (next > written * 10 + 10) return "TOO MANY EVENTS";
  return next == written * 10 + 10 ? "all" : "prefix";
}

TEST_F(TraceStore, FlippedBitsAreFoundAndNeverCrashTheReader) {
  write_sample(2000);
  const std::string original = read_file(path_);
  std::mt19937_64 random(42);
  unsigned refused = 0, older = 0;
  for (int round = 0; round < 250; ++round) {
    std::string damaged = original;
    // Half of the damage goes to the first bytes of pages, where LMDB keeps its structure.
    for (std::uint64_t flips = 1 + random() % 8; flips > 0; --flips) {
      const std::size_t page = random() % (damaged.size() / 4096);
      const std::size_t at = round % 2 == 0 ? page * 4096 + random() % 64 : random() % damaged.size();
      damaged[at] = static_cast<char>(damaged[at] ^ (1 << random() % 8));
    }
    write_file(path_, damaged);
    const std::string outcome = read_damaged(path_, 2000);
    ASSERT_EQ(outcome.find("WRONG"), std::string::npos) << "round " << round;
    ASSERT_EQ(outcome.find("TOO MANY"), std::string::npos) << "round " << round;
    if (outcome == "prefix") older++;
    if (outcome.find(path_) == 0) refused++;
  }
  EXPECT_GT(refused, 60u);
  RecordProperty("refused", static_cast<int>(refused));
  RecordProperty("older", static_cast<int>(older));
}

TEST_F(TraceStore, TruncatedAnywhereItIsRefusedWithoutACrash) {
  write_sample(2000);
  const std::string original = read_file(path_);
  std::mt19937_64 random(43);
  for (int round = 0; round < 150; ++round) {
    write_file(path_, original.substr(0, random() % original.size()));
    const std::string outcome = read_damaged(path_, 2000);
    ASSERT_EQ(outcome.find("WRONG"), std::string::npos) << "round " << round;
    if (outcome != "all") {
      ASSERT_EQ(outcome.find(path_), 0u) << outcome;
    }
  }
}

TEST_F(TraceStore, NoiseBehindValidMetaPagesIsRefusedWithoutACrash) {
  write_sample(200);
  const std::string original = read_file(path_);
  for (std::uint64_t round = 0; round < 30; ++round) {
    const Bytes rest = noise(original.size() - 8192, round);
    write_file(path_, original.substr(0, 8192) +
                          std::string(reinterpret_cast<const char*>(rest.data()), rest.size()));
    EXPECT_EQ(read_damaged(path_, 200).find(path_), 0u);
  }
}

}  // namespace
}  // namespace hindsight::traces::store
