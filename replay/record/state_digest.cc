#include "replay/record/state_digest.h"

#include <capnp/any.h>
#include <capnp/dynamic.h>
#include <xxhash.h>
// After it: the same functions, by the widest vectors the host has. Hashing RAM is most of what a digest
// costs.
#include <xxh_x86dispatch.h>

namespace hindsight::replay::record {
namespace {

/// Keeps a digest record small when most of a large RAM was written.
constexpr std::size_t kMostGroups = 16384;
/// States beyond this are left to their hashes.
constexpr std::size_t kMostState = std::size_t{8} << 20;

}  // namespace

kj::Array<capnp::word> canonical_state(const engine::port::Stateful& part) {
  capnp::MallocMessageBuilder message;
  part.save_state(message.initRoot<capnp::DynamicStruct>(part.state_schema()));
  return capnp::AnyStruct::Reader(message.getRoot<capnp::AnyStruct>().asReader()).canonicalize();
}

StateDigester::StateDigester(engine::port::Machine& machine)
    : machine_(machine), page_hashes_(machine.ram().page_count()) {
  epoch_ = machine_.ram().end_epoch();
  for (std::uint64_t index = 0; index < page_hashes_.size(); ++index) rehash(index);
}

void StateDigester::rehash(std::uint64_t index) {
  const std::uint64_t hash = XXH3_64bits_withSeed(machine_.ram().page(index), kPageSize, index);
  ram_sum_ += hash - page_hashes_[index];
  page_hashes_[index] = hash;
}

std::vector<std::uint64_t> StateDigester::update_ram() {
  std::vector<std::uint64_t> written;
  const std::uint32_t ended = machine_.ram().end_epoch();
  machine_.ram().for_each_dirty_after(epoch_, [&](std::uint64_t index) {
    rehash(index);
    written.push_back(index);
  });
  epoch_ = ended;
  return written;
}

std::uint16_t StateDigester::group_hash(std::uint32_t group, unsigned shift) const {
  std::uint64_t sum = 0;
  const std::uint64_t first = std::uint64_t{group} << shift;
  for (std::uint64_t i = first; i < first + (std::uint64_t{1} << shift) && i < page_hashes_.size(); ++i) {
    sum += page_hashes_[i];
  }
  return static_cast<std::uint16_t>(sum);
}

traces::store::Digest StateDigester::take(bool full, std::vector<traces::store::ChannelDigest> channels) {
  traces::store::Digest digest;
  digest.at = {machine_.now().icount, machine_.now().time};
  digest.channels = std::move(channels);
  digest.full = full;
  for (const engine::port::Stateful* part : machine_.parts()) {
    const kj::Array<capnp::word> words = canonical_state(*part);
    const auto bytes = words.asBytes();
    traces::store::PartDigest& out = digest.parts.emplace_back();
    out.name = part->state_name();
    out.hash = XXH3_64bits(bytes.begin(), bytes.size());
    const auto* begin = reinterpret_cast<const std::byte*>(bytes.begin());
    if (full && bytes.size() <= kMostState) out.state.assign(begin, begin + bytes.size());
  }
  const std::vector<std::uint64_t> written = update_ram();
  digest.ram = ram_sum_;
  if (written.size() > kMostGroups) {
    while (page_hashes_.size() >> digest.page_shift > kMostGroups) digest.page_shift++;
  }
  for (const std::uint64_t index : written) {
    const auto group = static_cast<std::uint32_t>(index >> digest.page_shift);
    if (digest.page_groups.empty() || digest.page_groups.back() != group) digest.page_groups.push_back(group);
  }
  for (const std::uint32_t group : digest.page_groups) {
    digest.page_hashes.push_back(group_hash(group, digest.page_shift));
  }
  return digest;
}

}  // namespace hindsight::replay::record
