// What differs between two machines at rest: every field of every part by name, and RAM by page and byte.
// Free functions over borrowed machines and snapshots; the run loop's thread, between run() calls. Looking
// changes neither. Nothing here depends on how the machines got where they are.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/port/machine.h"
#include "replay/play/field_diff.h"
#include "replay/snapshot/snapshot.h"

namespace hindsight::replay::diff {

/// One of the two. Valid as long as the machine stands still, or the snapshot is there.
struct Side {
  engine::port::Position at;
  VirtualTime time;
  std::vector<snapshot::PartState> parts;
  std::vector<capnp::StructSchema> schemas;  ///< of the parts
  std::uint64_t page_count = 0;
  std::function<const std::byte*(std::uint64_t index)> page;  ///< kPageSize bytes of RAM
};
[[nodiscard]] Side side_of(engine::port::Machine& machine);
/// `machine` is one of the kind that the snapshot was taken of; only its schemas are looked at.
[[nodiscard]] Side side_of(std::shared_ptr<const snapshot::Snapshot> snapshot,
                           const engine::port::Machine& machine);
/// The machine as it stands, to be compared when it has moved on.
[[nodiscard]] Side copy_of(engine::port::Machine& machine);

struct PartDifference {
  std::string part;
  std::vector<play::FieldDifference> fields;
};
/// Pages of RAM in a row that all differ; counted without the hole below 4 GiB.
struct PageRange {
  std::uint64_t first = 0, count = 0;
  std::uint64_t bytes = 0;  ///< how many bytes differ in them
};
struct MachineDifference {
  std::vector<PartDifference> parts;  ///< those that differ, in the machine's order
  std::vector<PageRange> ranges;      ///< ascending
  std::uint64_t pages = 0, bytes = 0;
  std::uint64_t pages_a = 0, pages_b = 0;  ///< sizes of RAM; where one has less, only that much is compared

  [[nodiscard]] bool empty() const { return parts.empty() && pages == 0 && pages_a == pages_b; }
};

[[nodiscard]] MachineDifference compare(const Side& a, const Side& b);
[[nodiscard]] MachineDifference compare(engine::port::Machine& a, engine::port::Machine& b);

/// Bytes that differ: whole 8-byte words at multiples of 8, as many in a row as differ, within one page.
struct ByteRun {
  std::uint64_t offset = 0;  ///< into RAM
  std::span<const std::byte> a, b;
};
/// Calls `visit` with the runs of the pages of `range`, in order, until it says false.
void for_each_run(const Side& a, const Side& b, const PageRange& range,
                  const std::function<bool(const ByteRun&)>& visit);

}  // namespace hindsight::replay::diff
