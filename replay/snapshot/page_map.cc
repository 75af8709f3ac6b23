#include "replay/snapshot/page_map.h"

#include <algorithm>
#include <cstring>

#include "engine/base/check.h"

namespace hindsight::replay::snapshot {
namespace {

constexpr Page kZeroPage{};
const PageRef kNoPage;

}  // namespace

bool is_zero_page(const std::byte* contents) {
  return contents[0] == std::byte{0} && std::memcmp(contents, contents + 1, kPageSize - 1) == 0;
}

PageRef copy_page(const std::byte* contents) {
  if (is_zero_page(contents)) return nullptr;
  auto page = std::make_shared_for_overwrite<Page>();
  std::memcpy(page->bytes.data(), contents, kPageSize);
  return page;
}

PageMap::PageMap(std::uint64_t page_count)
    : page_count_(page_count), groups_((page_count + kGroupPages - 1) / kGroupPages) {}

const PageRef& PageMap::page(std::uint64_t index) const {
  CHECK(index < page_count_, "page {} of {}", index, page_count_);
  const auto& group = groups_[index / kGroupPages];
  return group == nullptr ? kNoPage : (*group)[index % kGroupPages];
}

const std::byte* PageMap::bytes(std::uint64_t index) const {
  const PageRef& found = page(index);
  return found == nullptr ? kZeroPage.bytes.data() : found->bytes.data();
}

void PageMap::set(std::uint64_t index, PageRef page) {
  CHECK(index < page_count_, "page {} of {}", index, page_count_);
  auto& group = groups_[index / kGroupPages];
  if (group == nullptr) {
    if (page == nullptr) return;
    group = std::make_shared<Group>();
  } else if (group.use_count() != 1) {
    group = std::make_shared<Group>(*group);
  }
  (*group)[index % kGroupPages] = std::move(page);
}

void PageMap::for_each_difference(const PageMap& a, const PageMap& b,
                                  const std::function<void(std::uint64_t index)>& visit) {
  CHECK(a.page_count_ == b.page_count_, "{} and {} pages", a.page_count_, b.page_count_);
  for (std::uint64_t group = 0; group < a.groups_.size(); ++group) {
    if (a.groups_[group] == b.groups_[group]) continue;
    const std::uint64_t end = std::min((group + 1) * kGroupPages, a.page_count_);
    for (std::uint64_t index = group * kGroupPages; index < end; ++index) {
      if (a.page(index) != b.page(index)) visit(index);
    }
  }
}

std::uint64_t PageMap::bytes_beyond(const PageMap& base) const {
  CHECK(page_count_ == base.page_count_, "{} and {} pages", page_count_, base.page_count_);
  std::uint64_t bytes = groups_.size() * sizeof groups_[0];
  for (std::uint64_t group = 0; group < groups_.size(); ++group) {
    if (groups_[group] == nullptr || groups_[group] == base.groups_[group]) continue;
    bytes += sizeof(Group);
    const Group* others = base.groups_[group].get();
    for (std::uint64_t i = 0; i < kGroupPages; ++i) {
      const PageRef& page = (*groups_[group])[i];
      if (page != nullptr && (others == nullptr || page != (*others)[i])) bytes += sizeof(Page);
    }
  }
  return bytes;
}

}  // namespace hindsight::replay::snapshot
