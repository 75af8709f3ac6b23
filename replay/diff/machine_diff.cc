#include "replay/diff/machine_diff.h"

#include <capnp/serialize.h>
#include <fmt/format.h>
#include <kj/exception.h>

#include <algorithm>
#include <cstring>

#include "replay/record/state_digest.h"

namespace hindsight::replay::diff {
namespace {

using capnp::DynamicStruct;
using play::FieldDifference;
using snapshot::PartState;
using snapshot::Snapshot;

constexpr std::size_t kWord = 8;

std::vector<capnp::StructSchema> schemas_of(const engine::port::Machine& machine) {
  std::vector<capnp::StructSchema> schemas;
  for (const engine::port::Stateful* part : machine.parts()) schemas.push_back(part->state_schema());
  return schemas;
}

bool same_words(const PartState& a, const PartState& b) {
  return a.words == b.words || std::ranges::equal(a.bytes(), b.bytes());
}

std::vector<FieldDifference> field_differences(const PartState& a, const PartState& b,
                                               capnp::StructSchema schema) {
  std::vector<FieldDifference> fields;
  try {
    const kj::ArrayPtr<const capnp::word> words_a[] = {a.words->asPtr()}, words_b[] = {b.words->asPtr()};
    capnp::ReaderOptions options;
    options.traversalLimitInWords =
        std::max<std::uint64_t>(options.traversalLimitInWords, 8 * (a.words->size() + b.words->size()));
    capnp::SegmentArrayMessageReader message_a(kj::arrayPtr(words_a, 1), options);
    capnp::SegmentArrayMessageReader message_b(kj::arrayPtr(words_b, 1), options);
    play::for_each_difference(message_a.getRoot<DynamicStruct>(schema),
                              message_b.getRoot<DynamicStruct>(schema), [&](FieldDifference found) {
                                fields.push_back(std::move(found));
                                return true;
                              });
  } catch (const kj::Exception& exception) {
    fields.push_back({"", "a state this build can read", exception.getDescription().cStr()});
  }
  return fields;
}

void compare_parts(const Side& a, const Side& b, MachineDifference& out) {
  const auto place_of = [](const Side& side, const std::string& name) {
    const auto same = [&](const PartState& part) { return part.name == name; };
    return static_cast<std::size_t>(std::ranges::find_if(side.parts, same) - side.parts.begin());
  };
  for (std::size_t i = 0; i < a.parts.size(); ++i) {
    const PartState& part = a.parts[i];
    const std::size_t other = place_of(b, part.name);
    if (other == b.parts.size()) {
      out.parts.push_back({part.name, {{"", "there", "not there"}}});
    } else if (a.schemas[i] != b.schemas[other]) {
      out.parts.push_back({part.name, {{"", "a device", "another kind of device"}}});
    } else if (!same_words(part, b.parts[other])) {
      out.parts.push_back({part.name, field_differences(part, b.parts[other], a.schemas[i])});
    }
  }
  for (const PartState& part : b.parts) {
    if (place_of(a, part.name) == a.parts.size())
      out.parts.push_back({part.name, {{"", "not there", "there"}}});
  }
}

std::uint64_t differing_bytes(const std::byte* a, const std::byte* b) {
  if (a == b || std::memcmp(a, b, kPageSize) == 0) return 0;
  std::uint64_t count = 0;
  for (std::size_t i = 0; i < kPageSize; ++i) count += a[i] != b[i] ? 1 : 0;
  return count;
}

}  // namespace

Side side_of(engine::port::Machine& machine) {
  Side side{machine.debug().position(),
            machine.now().time,
            {},
            schemas_of(machine),
            machine.ram().page_count(),
            [&ram = machine.ram()](std::uint64_t index) { return ram.page(index); }};
  for (const engine::port::Stateful* part : machine.parts()) {
    side.parts.push_back({std::string(part->state_name()),
                          std::make_shared<const kj::Array<capnp::word>>(record::canonical_state(*part))});
  }
  return side;
}

Side side_of(std::shared_ptr<const Snapshot> snapshot, const engine::port::Machine& machine) {
  Side side{snapshot->at,        snapshot->instant.time,     snapshot->parts,
            schemas_of(machine), snapshot->ram.page_count(), {}};
  side.page = [kept = std::move(snapshot)](std::uint64_t index) { return kept->ram.bytes(index); };
  return side;
}

Side copy_of(engine::port::Machine& machine) {
  // Nothing is restored from it, so it does not matter where the border stands.
  return side_of(snapshot::Snapshotter(machine).take({}), machine);
}

MachineDifference compare(const Side& a, const Side& b) {
  MachineDifference difference;
  compare_parts(a, b, difference);
  difference.pages_a = a.page_count;
  difference.pages_b = b.page_count;
  for (std::uint64_t index = 0; index < std::min(a.page_count, b.page_count); ++index) {
    const std::uint64_t bytes = differing_bytes(a.page(index), b.page(index));
    if (bytes == 0) continue;
    difference.pages += 1;
    difference.bytes += bytes;
    if (difference.ranges.empty() || difference.ranges.back().first + difference.ranges.back().count != index)
      difference.ranges.push_back({index, 0, 0});
    difference.ranges.back().count += 1;
    difference.ranges.back().bytes += bytes;
  }
  return difference;
}

MachineDifference compare(engine::port::Machine& a, engine::port::Machine& b) {
  return compare(side_of(a), side_of(b));
}

void for_each_run(const Side& a, const Side& b, const PageRange& range,
                  const std::function<bool(const ByteRun&)>& visit) {
  for (std::uint64_t index = range.first; index < range.first + range.count; ++index) {
    const std::byte* page_a = a.page(index);
    const std::byte* page_b = b.page(index);
    const auto differs = [&](std::size_t at) { return std::memcmp(page_a + at, page_b + at, kWord) != 0; };
    for (std::size_t at = 0; at < kPageSize; at += kWord) {
      if (!differs(at)) continue;
      std::size_t end = at + kWord;
      while (end < kPageSize && differs(end)) end += kWord;
      if (!visit({(index << kPageBits) + at, {page_a + at, end - at}, {page_b + at, end - at}})) return;
      at = end;
    }
  }
}

}  // namespace hindsight::replay::diff
