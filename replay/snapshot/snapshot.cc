#include "replay/snapshot/snapshot.h"

#include <capnp/any.h>
#include <capnp/dynamic.h>
#include <capnp/serialize.h>
#include <kj/exception.h>

#include <algorithm>
#include <cstring>

#include "replay/record/state_digest.h"

namespace hindsight::replay::snapshot {
namespace {

using engine::port::Stateful;

bool same_words(const kj::Array<capnp::word>& a, const kj::Array<capnp::word>& b) {
  return a.size() == b.size() && std::memcmp(a.begin(), b.begin(), a.size() * sizeof(capnp::word)) == 0;
}

/// Calls `use` with the state read as the part's schema says. kj::Exception where the words are malformed.
template <class Use>
void read_state(const PartState& state, const Stateful& part, Use use) {
  const kj::ArrayPtr<const capnp::word> segments[] = {state.words->asPtr()};
  capnp::ReaderOptions options;
  options.traversalLimitInWords =
      std::max<std::uint64_t>(options.traversalLimitInWords, 4 * state.words->size());
  capnp::SegmentArrayMessageReader message(kj::arrayPtr(segments, 1), options);
  use(message.getRoot<capnp::DynamicStruct>(part.state_schema()));
}

/// Whether every part can be loaded. A snapshot may come from a trace, whose contents nobody vouches for.
Status check_parts(const Snapshot& snapshot, std::span<Stateful* const> parts) {
  if (snapshot.parts.size() != parts.size()) {
    return error("a snapshot of {} parts expected, found {}", parts.size(), snapshot.parts.size());
  }
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const PartState& state = snapshot.parts[i];
    if (state.name != parts[i]->state_name()) {
      return error("a snapshot with the part '{}' expected, found '{}'", parts[i]->state_name(), state.name);
    }
    try {
      // Copying follows every pointer there is.
      read_state(state, *parts[i], [&](capnp::DynamicStruct::Reader in) {
        capnp::MallocMessageBuilder copy;
        copy.setRoot(in);
      });
    } catch (const kj::Exception& exception) {
      return error("a sound state of the part '{}' expected ({})", state.name,
                   exception.getDescription().cStr());
    }
  }
  return Done{};
}

}  // namespace

std::uint64_t Snapshot::bytes_beyond(const Snapshot* base) const {
  const PageMap zeros(base == nullptr ? ram.page_count() : 0);
  std::uint64_t bytes = sizeof *this + ram.bytes_beyond(base == nullptr ? zeros : base->ram);
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const bool shared = base != nullptr && i < base->parts.size() && base->parts[i].words == parts[i].words;
    bytes += sizeof(PartState) + (shared ? 0 : parts[i].words->size() * sizeof(capnp::word));
  }
  return bytes;
}

void Snapshotter::set_base(std::shared_ptr<const Snapshot> snapshot) {
  base_ = std::move(snapshot);
  epoch_ = machine_.ram().end_epoch();
  machine_.debug().collect_written();
  collecting_ = wants_executed_(base_->at);
  if (collecting_)
    machine_.debug().collect_executed();
  else
    machine_.debug().ignore_executed();
}

std::shared_ptr<const Snapshot> Snapshotter::take(const play::Player::Position& border) {
  engine::port::RamPages& ram = machine_.ram();
  auto snapshot = std::make_shared<Snapshot>();
  snapshot->at = machine_.debug().position();
  snapshot->instant = machine_.now();
  snapshot->border = border;
  for (const Stateful* part : machine_.parts()) {
    PartState state{std::string(part->state_name()),
                    std::make_shared<const kj::Array<capnp::word>>(record::canonical_state(*part))};
    const std::size_t i = snapshot->parts.size();
    if (base_ != nullptr && same_words(*state.words, *base_->parts[i].words)) {
      state.words = base_->parts[i].words;
    }
    snapshot->parts.push_back(std::move(state));
  }
  snapshot->ram = base_ != nullptr ? base_->ram : PageMap(ram.page_count());
  std::shared_ptr<Footprint> footprint;
  if (base_ != nullptr && snapshot->at.icount - base_->at.icount >= Footprint::kShortest) {
    footprint = std::make_shared<Footprint>();
    footprint->from = base_->at;
    footprint->to = snapshot->at;
    footprint->tells_executed = collecting_;
    footprint->linear = machine_.debug().touched();
  }
  ram.for_each_dirty_after(epoch_, [&](std::uint64_t index) {
    if (footprint != nullptr) footprint->ram_written.add(ram.address_of(index).value);
    const std::byte* contents = ram.page(index);
    if (std::memcmp(snapshot->ram.bytes(index), contents, kPageSize) == 0) return;
    snapshot->ram.set(index, copy_page(contents));
  });
  snapshot->footprint = std::move(footprint);
  set_base(snapshot);
  return snapshot;
}

Status Snapshotter::restore(const std::shared_ptr<const Snapshot>& snapshot) {
  engine::port::RamPages& ram = machine_.ram();
  if (snapshot->ram.page_count() != ram.page_count()) {
    return error("a snapshot of {} RAM pages expected, found {}", ram.page_count(),
                 snapshot->ram.page_count());
  }
  const auto parts = machine_.parts();
  if (const Status checked = check_parts(*snapshot, parts); !checked) return checked.failure();

  machine_.debug().restoring();
  std::vector<std::uint64_t> candidates;
  const auto add = [&](std::uint64_t index) { candidates.push_back(index); };
  ram.for_each_dirty_after(epoch_, add);
  PageMap::for_each_difference(base_ != nullptr ? base_->ram : PageMap(ram.page_count()), snapshot->ram, add);
  std::sort(candidates.begin(), candidates.end());
  candidates.erase(std::unique(candidates.begin(), candidates.end()), candidates.end());
  for (const std::uint64_t index : candidates) {
    const std::byte* wanted = snapshot->ram.bytes(index);
    if (std::memcmp(ram.page(index), wanted, kPageSize) != 0) ram.set_page(index, wanted);
  }
  const auto load = [&](std::size_t i) {
    read_state(snapshot->parts[i], *parts[i],
               [&](capnp::DynamicStruct::Reader in) { parts[i]->load_state(in); });
  };
  load(parts.size() - 1);
  for (std::size_t i = 0; i + 1 < parts.size(); ++i) load(i);
  machine_.debug().restored(snapshot->at);
  set_base(snapshot);
  return Done{};
}

}  // namespace hindsight::replay::snapshot
