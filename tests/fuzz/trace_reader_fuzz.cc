// Reading a trace from anyone: whatever the bytes are, the reader answers with an Error or with records,
// never with a crash. The first byte of the input chooses what the rest is.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

#include "traces/store/trace_editor.h"
#include "traces/store/trace_reader.h"
#include "traces/store/trace_writer.h"
#include "traces/store/value.h"

namespace hindsight::traces::store {
namespace {

/// A small sound trace, as the file's bytes.
std::string sound_trace() {
  const std::string path =
      std::filesystem::temp_directory_path() / ("hindsight_fuzz_" + std::to_string(getpid()));
  std::filesystem::remove(path);
  WriterOptions options;
  options.sync = false;
  {
    auto writer = TraceWriter::create(path, options);
    if (!writer) std::abort();
    MachineConfig config;
    config.kernel = (*writer)->put_blob("kernel", Bytes(9000, std::byte{7}));
    if (!(*writer)->begin(config)) std::abort();
    for (std::uint64_t i = 1; i < 200; ++i) {
      (*writer)->append(
          {EventKind::sample, {Icount(i), VirtualTime(i)}, 5, 0, 9, Bytes(9, std::byte{1}), {}});
      Digest digest;
      digest.at = {Icount(i), VirtualTime(i)};
      digest.parts.push_back({"cpu0", i, {}});
      (*writer)->digest(std::move(digest));
    }
    const std::vector<Hash128> hashes(3, hash_of(Bytes(kPageSize, std::byte{3})));
    (*writer)->put_pages(kFirstPage, hashes, Bytes(3 * kPageSize, std::byte{3}));
    SnapshotRecord snapshot;
    snapshot.at = {Icount(50), 1};
    snapshot.parts.push_back(put_part(**writer, "cpu0", Bytes(64, std::byte{1})));
    snapshot.parts.push_back(put_part(**writer, "disk", Bytes(40'000, std::byte{2})));
    snapshot.channels.push_back({1, 20, 0});
    snapshot.ram_pages = 5000;
    const std::vector<PageRun> runs = {{7, 3, PageKind::stored, kFirstPage}, {90, 9, PageKind::base, 1}};
    snapshot.regions = {(*writer)->put_piece(encode(runs)), {}};
    (*writer)->put_snapshot(snapshot, (*writer)->begin_snapshot());
    if (!(*writer)->finish({{Icount(200), VirtualTime(200)}, EndReason::power_off})) std::abort();
  }
  {
    auto editor = TraceEditor::open(path, (*TraceReader::open(path))->transaction());
    if (!editor) std::abort();
    (*editor)->set_mark({"here", "a note", {Icount(60), 0}});
    if (!(*editor)->commit()) std::abort();
  }
  std::ifstream in(path, std::ios::binary);
  std::string contents{std::istreambuf_iterator<char>(in), {}};
  std::filesystem::remove(path);
  return contents;
}

void read_file(const char* data, std::size_t size) {
  const int descriptor = memfd_create("trace", 0);
  if (descriptor < 0 || write(descriptor, data, size) != static_cast<ssize_t>(size)) std::abort();
  if (auto reader = TraceReader::open("/proc/self/fd/" + std::to_string(descriptor))) {
    (void)(*reader)->check_all();
    (void)(*reader)->sizes();
  }
  close(descriptor);
}

/// The sound trace with bytes replaced: each edit is a 3-byte position and the byte to put there.
void read_edited(std::span<const std::uint8_t> edits) {
  static const std::string original = sound_trace();
  std::string edited = original;
  for (std::size_t i = 0; i + 4 <= edits.size(); i += 4) {
    const std::size_t at = edits[i] | std::size_t{edits[i + 1]} << 8 | std::size_t{edits[i + 2]} << 16;
    edited[at % edited.size()] = static_cast<char>(edits[i + 3]);
  }
  read_file(edited.data(), edited.size());
}

void read_records(std::span<const std::byte> data) {
  (void)decode_config(data);
  (void)decode_progress(data);
  (void)decode_end(data);
  (void)decode_chunk(data);
  (void)decode_digest(data);
  (void)decode_snapshot(data);
  (void)decode_region(data, 0);
  (void)decode_page_hashes(data);
  (void)decode_mark(data);
  (void)open("events", key_of(1, 2), ValueKind::chunk, data);
}

}  // namespace
}  // namespace hindsight::traces::store

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace store = hindsight::traces::store;
  if (size == 0) return 0;
  const std::span<const std::uint8_t> rest(data + 1, size - 1);
  switch (data[0] % 4) {
    case 0:
      store::read_file(reinterpret_cast<const char*>(rest.data()), rest.size());
      break;
    case 1:
      store::read_records(std::as_bytes(rest));
      break;
    default:
      store::read_edited(rest);
      break;
  }
  return 0;
}
