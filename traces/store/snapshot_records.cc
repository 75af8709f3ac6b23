#include "traces/store/snapshot_records.h"

#include <algorithm>

#include "traces/store/codec.h"

namespace hindsight::traces::store {
namespace {

using namespace codec;

constexpr std::size_t kStatePiece = std::size_t{1} << 20;
constexpr std::uint64_t kMostState = std::uint64_t{1} << 32;
constexpr std::uint64_t kMostPages = std::uint64_t{1} << 28;  // 1 TiB, the most RAM a machine has

}  // namespace

PartState put_part(SnapshotSink& sink, std::string name, std::span<const std::byte> state) {
  PartState part{std::move(name), state.size(), {}, {}};
  if (state.size() <= kInlinePayload) {
    part.state.assign(state.begin(), state.end());
    return part;
  }
  for (std::size_t at = 0; at < state.size(); at += kStatePiece) {
    part.pieces.push_back(sink.put_piece(state.subspan(at, std::min(kStatePiece, state.size() - at))));
  }
  return part;
}

Bytes encode(const SnapshotRecord& snapshot) {
  capnp::MallocMessageBuilder message;
  auto root = message.initRoot<schema::Snapshot>();
  root.setIcount(snapshot.at.icount.value);
  root.setDelivery(snapshot.at.delivery);
  root.setTime(snapshot.time.value);
  root.setEvent(snapshot.event);
  root.setChunk(snapshot.chunk);
  auto channels = root.initChannels(size_of(snapshot.channels.size()));
  for (unsigned i = 0; i < channels.size(); ++i) {
    channels[i].setChannel(snapshot.channels[i].channel);
    channels[i].setBytes(snapshot.channels[i].bytes);
    channels[i].setUnits(snapshot.channels[i].units);
  }
  auto parts = root.initParts(size_of(snapshot.parts.size()));
  for (unsigned i = 0; i < parts.size(); ++i) {
    const PartState& part = snapshot.parts[i];
    parts[i].setName(part.name);
    parts[i].setSize(part.size);
    if (part.pieces.empty()) parts[i].setState(data_of(part.state));
    put_pieces(parts[i].initPieces(size_of(part.pieces.size())), part.pieces);
  }
  root.setRamPages(snapshot.ram_pages);
  root.setBaseHigh(snapshot.base.high);
  root.setBaseLow(snapshot.base.low);
  put_pieces(root.initRegions(size_of(snapshot.regions.size())), snapshot.regions);
  put_footprints(root.initFootprints(size_of(snapshot.footprints.size())), snapshot.footprints);
  return to_bytes(message);
}

Bytes encode(const std::vector<PageRun>& runs) {
  capnp::MallocMessageBuilder message;
  auto out = message.initRoot<schema::PageRegion>().initRuns(size_of(runs.size()));
  for (unsigned i = 0; i < out.size(); ++i) {
    out[i].setFirst(runs[i].first);
    out[i].setCount(runs[i].count);
    out[i].setKind(static_cast<std::uint16_t>(runs[i].kind));
    out[i].setFrom(runs[i].from);
  }
  return to_bytes(message);
}

Bytes encode(const std::vector<Hash128>& page_hashes) {
  capnp::MallocMessageBuilder message;
  auto out = message.initRoot<schema::PageHashes>().initHashes(size_of(2 * page_hashes.size()));
  for (unsigned i = 0; i < page_hashes.size(); ++i) {
    out.set(2 * i, page_hashes[i].high);
    out.set(2 * i + 1, page_hashes[i].low);
  }
  return to_bytes(message);
}

Bytes encode(const Mark& mark) {
  capnp::MallocMessageBuilder message;
  auto root = message.initRoot<schema::Mark>();
  root.setName(mark.name);
  root.setNote(mark.note);
  root.setIcount(mark.at.icount.value);
  root.setDelivery(mark.at.delivery);
  return to_bytes(message);
}

Result<SnapshotRecord> decode_snapshot(std::span<const std::byte> data) {
  return decode<schema::Snapshot>(data, [](schema::Snapshot::Reader in) -> Result<SnapshotRecord> {
    SnapshotRecord snapshot;
    snapshot.at = {Icount(in.getIcount()), in.getDelivery()};
    snapshot.time = VirtualTime(in.getTime());
    snapshot.event = in.getEvent();
    snapshot.chunk = in.getChunk();
    for (const auto channel : in.getChannels()) {
      snapshot.channels.push_back({channel.getChannel(), channel.getBytes(), channel.getUnits()});
    }
    for (const auto part : in.getParts()) {
      PartState state{string_of(part.getName()), part.getSize(), bytes_of(part.getState()),
                      get_pieces(part.getPieces())};
      const bool whole = state.pieces.empty() ? state.state.size() == state.size
                                              : state.state.empty() && consistent(state.pieces, state.size);
      if (!whole || state.size % sizeof(capnp::word) != 0 || state.size > kMostState) {
        return error("a state of the part '{}' of {} bytes, at most {}, in whole words expected", state.name,
                     state.size, kMostState);
      }
      snapshot.parts.push_back(std::move(state));
    }
    snapshot.ram_pages = in.getRamPages();
    snapshot.base = {in.getBaseHigh(), in.getBaseLow()};
    snapshot.regions = get_pieces(in.getRegions());
    if (snapshot.ram_pages == 0 || snapshot.ram_pages > kMostPages ||
        snapshot.regions.size() != (snapshot.ram_pages + kRegionPages - 1) / kRegionPages) {
      return error("a region for each {} of {} pages expected, found {}", kRegionPages, snapshot.ram_pages,
                   snapshot.regions.size());
    }
    Result<std::vector<Footprint>> footprints = get_footprints(in.getFootprints());
    if (!footprints) return footprints.failure();
    snapshot.footprints = std::move(*footprints);
    return snapshot;
  });
}

Result<std::vector<PageRun>> decode_region(std::span<const std::byte> data, std::uint64_t first) {
  return decode<schema::PageRegion>(data, [&](schema::PageRegion::Reader in) -> Result<std::vector<PageRun>> {
    std::vector<PageRun> runs;
    std::uint64_t next = first;
    for (const auto run : in.getRuns()) {
      if (run.getKind() > schema::PAGE_BASE)
        return error("a page kind from 0 to {} expected, found {}", schema::PAGE_BASE, run.getKind());
      const std::uint64_t end = first + kRegionPages;
      if (run.getFirst() < next || run.getFirst() >= end || run.getCount() == 0 ||
          run.getCount() > end - run.getFirst()) {
        return error("page runs in order between {} and {} expected, found {} pages from {}", first, end,
                     run.getCount(), run.getFirst());
      }
      next = run.getFirst() + run.getCount();
      runs.push_back({run.getFirst(), run.getCount(), static_cast<PageKind>(run.getKind()), run.getFrom()});
    }
    return runs;
  });
}

Result<std::vector<Hash128>> decode_page_hashes(std::span<const std::byte> data) {
  return decode<schema::PageHashes>(data, [](schema::PageHashes::Reader in) -> Result<std::vector<Hash128>> {
    const auto numbers = in.getHashes();
    if (numbers.size() == 0 || numbers.size() % 2 != 0 || numbers.size() > 2 * kBundlePages) {
      return error("two numbers for each of 1 to {} pages expected, found {}", kBundlePages, numbers.size());
    }
    std::vector<Hash128> hashes;
    for (unsigned i = 0; i < numbers.size(); i += 2) hashes.push_back({numbers[i], numbers[i + 1]});
    return hashes;
  });
}

Result<Mark> decode_mark(std::span<const std::byte> data) {
  return decode<schema::Mark>(data, [](schema::Mark::Reader in) -> Result<Mark> {
    return Mark{string_of(in.getName()), string_of(in.getNote()), {Icount(in.getIcount()), in.getDelivery()}};
  });
}

}  // namespace hindsight::traces::store
