#include "replay/snapshot/footprint.h"

#include <cstring>

namespace hindsight::replay::snapshot {
namespace {

namespace store = traces::store;
using engine::port::LineSet;
using engine::port::PageSet;

static_assert(PageSet::kWords * sizeof(std::uint64_t) == store::kPageSetBytes);
static_assert(LineSet::kWords * sizeof(std::uint64_t) == store::kLineSetBytes);
static_assert(engine::port::kLineBits == store::kLineBits);

store::Bytes bytes_of(const auto& set) {
  const auto bytes = std::as_bytes(set.words());
  return store::Bytes(bytes.begin(), bytes.end());
}

template <class Set>
Set set_of(const store::Bytes& bytes) {
  Set set;
  if (bytes.empty()) return set;
  CHECK(bytes.size() == Set::kWords * sizeof(std::uint64_t), "a set of {} bytes", bytes.size());
  std::memcpy(set.words().data(), bytes.data(), bytes.size());
  return set;
}

}  // namespace

store::Footprint record_of(const Footprint& footprint) {
  return {{footprint.from.icount, footprint.from.delivery},
          {footprint.to.icount, footprint.to.delivery},
          footprint.tells_written ? bytes_of(footprint.ram_written) : store::Bytes{},
          footprint.tells_written ? bytes_of(footprint.linear.written) : store::Bytes{},
          footprint.tells_executed ? bytes_of(footprint.linear.executed) : store::Bytes{}};
}

Footprint footprint_of(const store::Footprint& record) {
  return {{record.from.icount, record.from.delivery},
          {record.to.icount, record.to.delivery},
          !record.written.empty(),
          !record.executed.empty(),
          set_of<PageSet>(record.ram_written),
          {set_of<PageSet>(record.written), set_of<LineSet>(record.executed)}};
}

}  // namespace hindsight::replay::snapshot
