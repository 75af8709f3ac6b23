#include "traces/store/records.h"

#include <xxhash.h>

#include <algorithm>

#include "traces/store/codec.h"

namespace hindsight::traces::store {
namespace {

using namespace codec;

constexpr std::string_view kMagic = "hindsight trace";

void put(schema::BlobRef::Builder out, const BlobRef& blob) {
  out.setName(blob.name);
  out.setSize(blob.size);
  put_pieces(out.initPieces(size_of(blob.pieces.size())), blob.pieces);
}

BlobRef get(schema::BlobRef::Reader in) {
  return {string_of(in.getName()), in.getSize(), get_pieces(in.getPieces())};
}

void put(schema::MachineConfig::Builder out, const MachineConfig& config) {
  out.setBoard(config.board);
  out.setRamBytes(config.ram_bytes);
  out.setCpuModel(config.cpu_model);
  auto features = out.initCpuFeatures(size_of(config.cpu_features.size()));
  for (unsigned i = 0; i < features.size(); ++i) features.set(i, config.cpu_features[i]);
  out.setTimeRate(config.time_rate);
  put(out.initKernel(), config.kernel);
  put(out.initInitrd(), config.initrd);
  out.setCommandLine(config.command_line);
  out.setDiskBytes(config.disk_bytes);
  out.setNet(static_cast<std::uint16_t>(config.net));
  out.setDigestInterval(config.digest_interval);
  out.setFullStateInterval(config.full_state_interval);
  auto channels = out.initChannels(size_of(config.channels.size()));
  for (unsigned i = 0; i < channels.size(); ++i) channels.set(i, config.channels[i]);
  out.setBuild(config.build);
  out.setSeed(config.seed);
  out.setHasConsole(config.has_console);
  out.setHasEntropy(config.has_entropy);
}

Result<MachineConfig> get(schema::MachineConfig::Reader in) {
  MachineConfig config;
  config.board = string_of(in.getBoard());
  config.ram_bytes = in.getRamBytes();
  config.cpu_model = string_of(in.getCpuModel());
  for (const auto feature : in.getCpuFeatures()) config.cpu_features.push_back(string_of(feature));
  config.time_rate = in.getTimeRate();
  config.kernel = get(in.getKernel());
  config.initrd = get(in.getInitrd());
  config.command_line = string_of(in.getCommandLine());
  config.disk_bytes = in.getDiskBytes();
  if (in.getNet() > schema::NET_USER) return error("net mode 0 or 1 expected, found {}", in.getNet());
  config.net = static_cast<NetMode>(in.getNet());
  config.digest_interval = in.getDigestInterval();
  config.full_state_interval = in.getFullStateInterval();
  for (const auto channel : in.getChannels()) config.channels.push_back(channel);
  config.build = string_of(in.getBuild());
  config.seed = in.getSeed();
  config.has_console = in.getHasConsole();
  config.has_entropy = in.getHasEntropy();
  if (config.digest_interval == 0) return error("a digest interval of at least 1 expected");
  if (!consistent(config.kernel.pieces, config.kernel.size) ||
      !consistent(config.initrd.pieces, config.initrd.size)) {
    return error("blobs as large as their pieces expected");
  }
  if (in.getQuirks().getReserved() != 0) {
    return error("quirks this build knows expected (none), found {:#x}", in.getQuirks().getReserved());
  }
  return config;
}

void put(schema::Parent::Builder out, const ParentTrace& parent) {
  out.setHeaderHigh(parent.identity.high);
  out.setHeaderLow(parent.identity.low);
  out.setName(parent.name);
  out.setIcount(parent.at.icount.value);
  out.setTime(parent.at.time.value);
  out.setDelivery(parent.delivery);
}

ParentTrace get(schema::Parent::Reader in) {
  return {{in.getHeaderHigh(), in.getHeaderLow()},
          string_of(in.getName()),
          {Icount(in.getIcount()), VirtualTime(in.getTime())},
          in.getDelivery()};
}

void put(schema::Event::Builder out, const Event& event) {
  out.setIcount(event.at.icount.value);
  out.setTime(event.at.time.value);
  out.setKind(static_cast<std::uint16_t>(event.kind));
  out.setChannel(event.channel);
  out.setSize(event.size);
  out.setArgument(event.argument);
  if (!event.payload.empty()) out.setPayload(data_of(event.payload));
  if (!event.pieces.empty()) put_pieces(out.initPieces(size_of(event.pieces.size())), event.pieces);
}

Result<Event> get(schema::Event::Reader in) {
  Event event;
  event.at = {Icount(in.getIcount()), VirtualTime(in.getTime())};
  if (in.getKind() != schema::EVENT_INPUT && in.getKind() != schema::EVENT_SAMPLE) {
    return error("event kind 1 (input) or 2 (sample) expected, found {}", in.getKind());
  }
  event.kind = static_cast<EventKind>(in.getKind());
  event.channel = in.getChannel();
  event.size = in.getSize();
  event.argument = in.getArgument();
  event.payload = bytes_of(in.getPayload());
  event.pieces = get_pieces(in.getPieces());
  const bool whole = event.pieces.empty() ? event.payload.size() == event.size
                                          : event.payload.empty() && consistent(event.pieces, event.size);
  if (!whole) return error("a payload of {} bytes expected", event.size);
  return event;
}

void put(schema::OutputRun::Builder out, const OutputRun& run) {
  out.setChannel(run.channel);
  out.setFirstByte(run.first_byte);
  out.setFirstUnit(run.first_unit);
  out.setBytes(data_of(run.bytes));
  auto units = out.initUnits(size_of(run.units.size()));
  for (unsigned i = 0; i < units.size(); ++i) units.set(i, run.units[i]);
}

OutputRun get(schema::OutputRun::Reader in) {
  OutputRun run{in.getChannel(), in.getFirstByte(), in.getFirstUnit(), bytes_of(in.getBytes()), {}};
  for (const auto unit : in.getUnits()) run.units.push_back(unit);
  return run;
}

void put_pages(schema::Digest::Builder out, const Digest& digest) {
  auto groups = out.initPageGroups(size_of(digest.page_groups.size()));
  auto hashes = out.initPageHashes(size_of(digest.page_hashes.size()));
  for (unsigned i = 0; i < groups.size(); ++i) groups.set(i, digest.page_groups[i]);
  for (unsigned i = 0; i < hashes.size(); ++i) hashes.set(i, digest.page_hashes[i]);
}

}  // namespace

Hash128 hash_of(std::span<const std::byte> data) {
  const XXH128_hash_t hash = XXH3_128bits(data.data(), data.size());
  return {hash.high64, hash.low64};
}

std::string_view name_of(EndReason reason) {
  switch (reason) {
    case EndReason::reached:
      return "limit reached";
    case EndReason::power_off:
      return "power-off";
    case EndReason::reset:
      return "reset";
    case EndReason::triple_fault:
      return "triple fault";
    case EndReason::idle_forever:
      return "idle forever";
    case EndReason::interrupted:
      return "interrupted";
  }
  return "unknown";
}

std::string_view name_of(EventKind kind) { return kind == EventKind::input ? "input" : "sample"; }

Bytes encode(const MachineConfig& config) {
  capnp::MallocMessageBuilder message;
  auto root = message.initRoot<schema::TraceHeader>();
  root.setMagic(capnp::Text::Reader(kMagic.data(), kMagic.size()));
  root.setFormatVersion(config.format_version());
  put(root.initConfig(), config);
  if (config.parent) put(root.initParent(), *config.parent);
  if (config.rerun_of) put(root.initRerunOf(), *config.rerun_of);
  return to_bytes(message);
}

Bytes encode(const Progress& progress) {
  capnp::MallocMessageBuilder message;
  auto root = message.initRoot<schema::Progress>();
  root.setIcount(progress.at.icount.value);
  root.setTime(progress.at.time.value);
  root.setChunks(progress.chunks);
  root.setDigests(progress.digests);
  root.setEvents(progress.events);
  return to_bytes(message);
}

Bytes encode(const End& end) {
  capnp::MallocMessageBuilder message;
  auto root = message.initRoot<schema::End>();
  root.setIcount(end.at.icount.value);
  root.setTime(end.at.time.value);
  root.setReason(static_cast<std::uint16_t>(end.reason));
  put_footprints(root.initFootprints(size_of(end.footprints.size())), end.footprints);
  return to_bytes(message);
}

Bytes encode(const Chunk& chunk) {
  capnp::MallocMessageBuilder message;
  auto root = message.initRoot<schema::EventChunk>();
  root.setNumber(chunk.number);
  root.setFirstEvent(chunk.first_event);
  auto events = root.initEvents(size_of(chunk.events.size()));
  for (unsigned i = 0; i < events.size(); ++i) put(events[i], chunk.events[i]);
  auto outputs = root.initOutputs(size_of(chunk.outputs.size()));
  for (unsigned i = 0; i < outputs.size(); ++i) put(outputs[i], chunk.outputs[i]);
  return to_bytes(message);
}

Bytes encode(const Digest& digest) {
  capnp::MallocMessageBuilder message;
  auto root = message.initRoot<schema::Digest>();
  root.setIcount(digest.at.icount.value);
  root.setTime(digest.at.time.value);
  auto parts = root.initParts(size_of(digest.parts.size()));
  for (unsigned i = 0; i < parts.size(); ++i) {
    parts[i].setName(digest.parts[i].name);
    parts[i].setHash(digest.parts[i].hash);
    if (digest.full) parts[i].setState(data_of(digest.parts[i].state));
  }
  root.setRam(digest.ram);
  auto channels = root.initChannels(size_of(digest.channels.size()));
  for (unsigned i = 0; i < channels.size(); ++i) {
    const ChannelDigest& channel = digest.channels[i];
    channels[i].setChannel(channel.channel);
    channels[i].setBytes(channel.bytes);
    channels[i].setUnits(channel.units);
    channels[i].setHashHigh(channel.hash.high);
    channels[i].setHashLow(channel.hash.low);
  }
  root.setFull(digest.full);
  root.setPageShift(digest.page_shift);
  put_pages(root, digest);
  return to_bytes(message);
}

Result<MachineConfig> decode_config(std::span<const std::byte> data) {
  return decode<schema::TraceHeader>(data, [](schema::TraceHeader::Reader in) -> Result<MachineConfig> {
    if (string_of(in.getMagic()) != kMagic) return error("the magic \"{}\" expected", kMagic);
    if (in.getFormatVersion() == 0 || in.getFormatVersion() > kFormatVersion) {
      return error("format version {} or older expected, found {}: a newer program wrote this trace",
                   kFormatVersion, in.getFormatVersion());
    }
    Result<MachineConfig> config = get(in.getConfig());
    if (!config) return config;
    if (in.hasParent()) config->parent = get(in.getParent());
    if (in.hasRerunOf()) config->rerun_of = get(in.getRerunOf());
    if (config->format_version() != in.getFormatVersion()) {
      return error("format version {} of a trace with{} a parent expected, found {}",
                   config->format_version(), config->parent ? "" : "out", in.getFormatVersion());
    }
    return config;
  });
}

Result<Progress> decode_progress(std::span<const std::byte> data) {
  return decode<schema::Progress>(data, [](schema::Progress::Reader in) -> Result<Progress> {
    return Progress{
        {Icount(in.getIcount()), VirtualTime(in.getTime())}, in.getChunks(), in.getDigests(), in.getEvents()};
  });
}

Result<End> decode_end(std::span<const std::byte> data) {
  return decode<schema::End>(data, [](schema::End::Reader in) -> Result<End> {
    if (in.getReason() > schema::STOP_INTERRUPTED) {
      return error("an end reason from 0 to {} expected, found {}", schema::STOP_INTERRUPTED, in.getReason());
    }
    Result<std::vector<Footprint>> footprints = get_footprints(in.getFootprints());
    if (!footprints) return footprints.failure();
    return End{{Icount(in.getIcount()), VirtualTime(in.getTime())},
               static_cast<EndReason>(in.getReason()),
               std::move(*footprints)};
  });
}

Result<Chunk> decode_chunk(std::span<const std::byte> data) {
  return decode<schema::EventChunk>(data, [](schema::EventChunk::Reader in) -> Result<Chunk> {
    Chunk chunk{in.getNumber(), in.getFirstEvent(), {}, {}};
    for (const auto item : in.getEvents()) {
      Result<Event> event = get(item);
      if (!event) return event.failure();
      if (!chunk.events.empty() && event->at < chunk.events.back().at) {
        return error("events in order expected, found icount {} after {}", event->at.icount.value,
                     chunk.events.back().at.icount.value);
      }
      chunk.events.push_back(std::move(*event));
    }
    for (const auto run : in.getOutputs()) chunk.outputs.push_back(get(run));
    return chunk;
  });
}

Result<Digest> decode_digest(std::span<const std::byte> data) {
  return decode<schema::Digest>(data, [](schema::Digest::Reader in) -> Result<Digest> {
    Digest digest;
    digest.at = {Icount(in.getIcount()), VirtualTime(in.getTime())};
    for (const auto part : in.getParts()) {
      digest.parts.push_back({string_of(part.getName()), part.getHash(), bytes_of(part.getState())});
    }
    digest.ram = in.getRam();
    for (const auto channel : in.getChannels()) {
      digest.channels.push_back({channel.getChannel(),
                                 channel.getBytes(),
                                 channel.getUnits(),
                                 {channel.getHashHigh(), channel.getHashLow()}});
    }
    digest.full = in.getFull();
    digest.page_shift = in.getPageShift();
    for (const auto group : in.getPageGroups()) digest.page_groups.push_back(group);
    for (const auto hash : in.getPageHashes()) digest.page_hashes.push_back(hash);
    if (digest.page_groups.size() != digest.page_hashes.size() || digest.page_shift > 31 ||
        !std::is_sorted(digest.page_groups.begin(), digest.page_groups.end())) {
      return error("page groups in order with one hash each expected");
    }
    return digest;
  });
}

}  // namespace hindsight::traces::store
