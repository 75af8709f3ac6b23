#include "replay/play/state_diff.h"

#include <capnp/message.h>
#include <capnp/serialize.h>
#include <fmt/format.h>
#include <kj/exception.h>

#include <algorithm>
#include <cstring>

#include "replay/play/field_diff.h"

namespace hindsight::replay::play {
namespace {

using capnp::DynamicStruct;
namespace store = traces::store;

/// The first difference between the state in the trace and the part as it is now.
std::optional<FieldDifference> part_difference(const store::Bytes& state,
                                               const engine::port::Stateful& part) {
  try {
    auto words = kj::heapArray<capnp::word>(state.size() / sizeof(capnp::word));
    std::memcpy(words.begin(), state.data(), words.size() * sizeof(capnp::word));
    const kj::ArrayPtr<const capnp::word> segments[] = {words.asPtr()};
    capnp::SegmentArrayMessageReader recorded(kj::arrayPtr(segments, 1));
    capnp::MallocMessageBuilder present;
    auto now = present.initRoot<DynamicStruct>(part.state_schema());
    part.save_state(now);
    return first_difference(recorded.getRoot<DynamicStruct>(part.state_schema()), now.asReader());
  } catch (const kj::Exception& exception) {
    return FieldDifference{"", "a state this build can read", exception.getDescription().cStr()};
  }
}

Divergence part_divergence(const store::PartDigest& expected, const store::PartDigest& got,
                           const engine::port::Stateful& part) {
  Divergence divergence;
  divergence.component = expected.name;
  divergence.field = "state";
  divergence.expected = fmt::format("hash {:016x}", expected.hash);
  divergence.got = fmt::format("{:016x}", got.hash);
  if (expected.state.empty()) return divergence;
  if (auto found = part_difference(expected.state, part)) {
    divergence.field = found->field;
    divergence.expected = found->a;
    divergence.got = found->b;
  }
  return divergence;
}

Divergence ram_divergence(const store::Digest& expected, const store::Digest& got,
                          const record::StateDigester& digester) {
  Divergence divergence;
  divergence.component = "ram";
  divergence.field = "contents";
  divergence.expected = fmt::format("sum {:016x}", expected.ram);
  divergence.got = fmt::format("{:016x}", got.ram);
  const unsigned shift = expected.page_shift;
  const auto name = [&](std::uint64_t group, unsigned by) {
    const std::uint64_t first = group << by;
    if (by == 0) return fmt::format("page {} (RAM offset {:#x})", first, first << kPageBits);
    return fmt::format("pages {} to {}", first, first + (std::uint64_t{1} << by) - 1);
  };
  for (std::size_t i = 0; i < expected.page_groups.size(); ++i) {
    const std::uint16_t hash = digester.group_hash(expected.page_groups[i], shift);
    if (hash == expected.page_hashes[i]) continue;
    divergence.field = name(expected.page_groups[i], shift);
    divergence.expected = fmt::format("hash {:04x}", expected.page_hashes[i]);
    divergence.got = fmt::format("{:04x}", hash);
    return divergence;
  }
  // All that the recording wrote agrees, so the replay wrote what the recording left alone.
  for (const std::uint32_t group : got.page_groups) {
    const std::uint64_t first = (std::uint64_t{group} << got.page_shift) >> shift;
    if (std::binary_search(expected.page_groups.begin(), expected.page_groups.end(), first)) continue;
    divergence.field = name(group, got.page_shift);
    divergence.expected = "not written";
    divergence.got = "written";
    return divergence;
  }
  return divergence;
}

std::optional<Divergence> channel_divergence(const store::Digest& expected, const store::Digest& got) {
  const auto find = [](const store::Digest& digest, std::uint16_t channel) {
    for (const store::ChannelDigest& candidate : digest.channels) {
      if (candidate.channel == channel) return candidate;
    }
    return store::ChannelDigest{channel, 0, 0, {}};
  };
  std::vector<std::uint16_t> channels;
  for (const auto& channel : expected.channels) channels.push_back(channel.channel);
  for (const auto& channel : got.channels) channels.push_back(channel.channel);
  for (const std::uint16_t channel : channels) {
    const store::ChannelDigest want = find(expected, channel);
    store::ChannelDigest have = find(got, channel);
    if (!have.hash_known) {  // every byte since was compared as it was sent
      have.hash = want.hash;
      have.hash_known = true;
    }
    if (want == have) continue;
    Divergence divergence;
    divergence.component = "output " + channel_name(static_cast<engine::port::Channel>(channel));
    divergence.field = "sent so far";
    divergence.expected = fmt::format("{} bytes, hash {:016x}", want.bytes, want.hash.low);
    divergence.got = fmt::format("{} bytes, hash {:016x}", have.bytes, have.hash.low);
    return divergence;
  }
  return std::nullopt;
}

std::optional<Divergence> parts_divergence(const store::Digest& expected, const store::Digest& got,
                                           const engine::port::Machine& machine) {
  std::optional<Divergence> first;
  const auto parts = machine.parts();
  for (std::size_t i = 0; i < std::max(expected.parts.size(), got.parts.size()); ++i) {
    if (i >= expected.parts.size() || i >= got.parts.size() || expected.parts[i].name != got.parts[i].name) {
      const auto name = [&](const store::Digest& digest) {
        return i < digest.parts.size() ? digest.parts[i].name : std::string("none");
      };
      if (!first) first.emplace();
      first->component = "machine";
      first->field = fmt::format("part {}", i);
      first->expected = name(expected);
      first->got = name(got);
      return first;
    }
    if (expected.parts[i].hash == got.parts[i].hash) continue;
    if (first) {
      first->also.push_back(expected.parts[i].name);
    } else {
      first = part_divergence(expected.parts[i], got.parts[i], *parts[i]);
    }
  }
  return first;
}

}  // namespace

std::optional<Divergence> compare(const store::Digest& expected, const store::Digest& got,
                                  const engine::port::Machine& machine,
                                  const record::StateDigester& digester) {
  std::optional<Divergence> divergence;
  const auto add = [&](std::optional<Divergence> found) {
    if (!found) return;
    if (divergence) {
      divergence->also.push_back(found->component);
      divergence->also.insert(divergence->also.end(), found->also.begin(), found->also.end());
    } else {
      divergence = std::move(found);
    }
  };
  if (expected.at.time != got.at.time) {
    add(Divergence{{},
                   "machine",
                   "virtual time",
                   fmt::format("{} ns", expected.at.time.value),
                   fmt::format("{} ns", got.at.time.value),
                   {},
                   {},
                   {}});
  }
  add(channel_divergence(expected, got));
  add(parts_divergence(expected, got, machine));
  if (expected.ram != got.ram) add(ram_divergence(expected, got, digester));
  if (divergence) divergence->at = {got.at.icount, got.at.time};
  return divergence;
}

}  // namespace hindsight::replay::play
