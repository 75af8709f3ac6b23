#include "replay/snapshot/footprint.h"

#include <cstring>

namespace hindsight::replay::snapshot {
namespace {

namespace store = traces::store;
using engine::port::PageSet;

static_assert(PageSet::kWords * sizeof(std::uint64_t) == store::kPageSetBytes);

store::Bytes bytes_of(const PageSet& set) {
  const auto bytes = std::as_bytes(set.words());
  return store::Bytes(bytes.begin(), bytes.end());
}

PageSet set_of(const store::Bytes& bytes) {
  CHECK(bytes.size() == store::kPageSetBytes, "a set of {} bytes", bytes.size());
  PageSet set;
  std::memcpy(set.words().data(), bytes.data(), bytes.size());
  return set;
}

}  // namespace

store::Footprint record_of(const Footprint& footprint) {
  return {{footprint.from.icount, footprint.from.delivery},
          {footprint.to.icount, footprint.to.delivery},
          bytes_of(footprint.ram_written),
          bytes_of(footprint.linear.written),
          bytes_of(footprint.linear.fetched)};
}

Footprint footprint_of(const store::Footprint& record) {
  return {{record.from.icount, record.from.delivery},
          {record.to.icount, record.to.delivery},
          set_of(record.ram_written),
          {set_of(record.written), set_of(record.fetched)}};
}

}  // namespace hindsight::replay::snapshot
