#include "replay/play/field_diff.h"

#include <capnp/message.h>
#include <fmt/format.h>
#include <kj/string.h>

#include <algorithm>
#include <map>
#include <utility>

namespace hindsight::replay::play {
namespace {

using capnp::DynamicList;
using capnp::DynamicStruct;
using capnp::DynamicValue;

std::string data_text(const capnp::byte* bytes, std::size_t size) {
  constexpr std::size_t kMost = 32;
  std::string text;
  for (std::size_t i = 0; i < std::min(size, kMost); ++i) text += fmt::format("{:02x}", bytes[i]);
  return size > kMost ? text + "…" : text;
}

std::string text_of(DynamicValue::Reader value) {
  switch (value.getType()) {
    case DynamicValue::UINT:
      return fmt::format("{:#x}", value.as<std::uint64_t>());
    case DynamicValue::INT:
      return fmt::format("{}", value.as<std::int64_t>());
    case DynamicValue::BOOL:
      return value.as<bool>() ? "true" : "false";
    default:
      break;
  }
  std::string text = kj::str(value).cStr();
  constexpr std::size_t kMost = 80;
  if (text.size() > kMost) text = text.substr(0, kMost) + "…";
  return text;
}

bool is_active(capnp::StructSchema::Field field, DynamicStruct::Reader in) {
  KJ_IF_MAYBE (active, in.which()) {
    return *active == field;
  }
  return false;
}

/// Every step says whether to go on.
class Walk final {
 public:
  explicit Walk(const std::function<bool(FieldDifference)>& visit) : visit_(visit) {}

  bool structs(const std::string& path, DynamicStruct::Reader a, DynamicStruct::Reader b) {
    for (const auto field : a.getSchema().getFields()) {
      const std::string name = field.getProto().getName().cStr();
      const std::string inner = path.empty() ? name : path + "." + name;
      if (field.getProto().getDiscriminantValue() != capnp::schema::Field::NO_DISCRIMINANT) {
        const bool in_a = is_active(field, a), in_b = is_active(field, b);
        if (in_a != in_b && !visit_({inner, in_a ? "set" : "not set", in_b ? "set" : "not set"}))
          return false;
        if (!in_a || !in_b) continue;
      }
      if (!values(inner, a.get(field), b.get(field))) return false;
    }
    return true;
  }

 private:
  bool values(const std::string& path, DynamicValue::Reader a, DynamicValue::Reader b) {
    if (a.getType() != b.getType()) return visit_({path, text_of(a), text_of(b)});
    switch (a.getType()) {
      case DynamicValue::STRUCT:
        return structs(path, a.as<DynamicStruct>(), b.as<DynamicStruct>());
      case DynamicValue::LIST:
        return lists(path, a.as<DynamicList>(), b.as<DynamicList>());
      case DynamicValue::DATA:
        return data(path, a.as<capnp::Data>(), b.as<capnp::Data>());
      default:
        break;
    }
    return kj::str(a) == kj::str(b) || visit_({path, text_of(a), text_of(b)});
  }

  bool lists(const std::string& path, DynamicList::Reader a, DynamicList::Reader b) {
    if (a.getSchema().whichElementType() == capnp::schema::Type::STRUCT) {
      KJ_IF_MAYBE (key, a.getSchema().getStructElementType().findFieldByName("index")) {
        return keyed_lists(path, *key, a, b);
      }
    }
    if (a.size() != b.size() &&
        !visit_({path, fmt::format("{} elements", a.size()), fmt::format("{} elements", b.size())}))
      return false;
    for (unsigned i = 0; i < std::min(a.size(), b.size()); ++i) {
      if (!values(fmt::format("{}[{}]", path, i), a[i], b[i])) return false;
    }
    return true;
  }

  bool keyed_lists(const std::string& path, capnp::StructSchema::Field key, DynamicList::Reader a,
                   DynamicList::Reader b) {
    std::map<std::uint64_t, std::pair<std::optional<unsigned>, std::optional<unsigned>>> places;
    for (unsigned i = 0; i < a.size(); ++i)
      places[a[i].as<DynamicStruct>().get(key).as<std::uint64_t>()].first = i;
    for (unsigned i = 0; i < b.size(); ++i)
      places[b[i].as<DynamicStruct>().get(key).as<std::uint64_t>()].second = i;
    for (const auto& [index, place] : places) {
      const std::string inner = fmt::format("{}[index {}]", path, index);
      const auto& [in_a, in_b] = place;
      if (!in_a || !in_b) {
        if (!visit_({inner, in_a ? "there" : "not there", in_b ? "there" : "not there"})) return false;
      } else if (!structs(inner, a[*in_a].as<DynamicStruct>(), b[*in_b].as<DynamicStruct>())) {
        return false;
      }
    }
    return true;
  }

  bool data(const std::string& path, capnp::Data::Reader a, capnp::Data::Reader b) {
    if (a.size() != b.size()) {
      const auto whole = [](capnp::Data::Reader bytes) {
        return fmt::format("{} bytes{}{}", bytes.size(), bytes.size() == 0 ? "" : ": ",
                           data_text(bytes.begin(), bytes.size()));
      };
      return visit_({path, whole(a), whole(b)});
    }
    for (std::size_t i = 0; i < a.size(); ++i) {
      if (a[i] == b[i]) continue;
      std::size_t end = i + 1;
      while (end < a.size() && a[end] != b[end]) ++end;
      const bool one = end == i + 1;
      const std::string inner =
          one ? fmt::format("{}[{}]", path, i) : fmt::format("{}[{}..{}]", path, i, end - 1);
      const auto run = [&](capnp::Data::Reader bytes) {
        return one ? fmt::format("{:#04x}", bytes[i]) : data_text(bytes.begin() + i, end - i);
      };
      if (!visit_({inner, run(a), run(b)})) return false;
      i = end;
    }
    return true;
  }

  const std::function<bool(FieldDifference)>& visit_;
};

}  // namespace

void for_each_difference(DynamicStruct::Reader a, DynamicStruct::Reader b,
                         const std::function<bool(FieldDifference)>& visit) {
  Walk(visit).structs("", a, b);
}

std::optional<FieldDifference> first_difference(DynamicStruct::Reader a, DynamicStruct::Reader b) {
  std::optional<FieldDifference> first;
  for_each_difference(a, b, [&](FieldDifference found) {
    first = std::move(found);
    return false;
  });
  return first;
}

}  // namespace hindsight::replay::play
