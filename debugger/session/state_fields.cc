#include "debugger/session/state_fields.h"

#include <capnp/dynamic.h>
#include <capnp/message.h>
#include <fmt/format.h>

#include <algorithm>

namespace hindsight::debugger::session {
namespace {

using capnp::DynamicList;
using capnp::DynamicStruct;
using capnp::DynamicValue;

/// Longer data (a disk's overlay) is cut, with its size said.
constexpr std::size_t kMostBytes = 64;

std::string bytes_text(capnp::Data::Reader data) {
  std::string text = fmt::format("{} bytes:", data.size());
  for (std::size_t i = 0; i < std::min(data.size(), kMostBytes); ++i) text += fmt::format(" {:02x}", data[i]);
  if (data.size() > kMostBytes) text += " …";
  return text;
}

class Flattener final {
 public:
  Flattener(std::string part, std::vector<StateField>& out) : part_(std::move(part)), out_(out) {}

  void add(const std::string& path, DynamicValue::Reader value) {
    switch (value.getType()) {
      case DynamicValue::STRUCT:
        return add_struct(path, value.as<DynamicStruct>());
      case DynamicValue::LIST:
        return add_list(path, value.as<DynamicList>());
      case DynamicValue::UINT:
        return put(path, fmt::format("{:#x}", value.as<std::uint64_t>()));
      case DynamicValue::INT:
        return put(path, fmt::format("{}", value.as<std::int64_t>()));
      case DynamicValue::BOOL:
        return put(path, value.as<bool>() ? "true" : "false");
      case DynamicValue::TEXT:
        return put(path, value.as<capnp::Text>().cStr());
      case DynamicValue::DATA:
        return put(path, bytes_text(value.as<capnp::Data>()));
      default:
        return;
    }
  }

 private:
  void put(const std::string& path, std::string value) { out_.push_back({part_, path, std::move(value)}); }
  void add_struct(const std::string& path, DynamicStruct::Reader fields) {
    for (const auto field : fields.getSchema().getFields()) {
      const std::string name = field.getProto().getName().cStr();
      add(path.empty() ? name : path + "." + name, fields.get(field));
    }
  }
  void add_list(const std::string& path, DynamicList::Reader list) {
    for (unsigned i = 0; i < list.size(); ++i) add(fmt::format("{}[{}]", path, i), list[i]);
  }

  const std::string part_;
  std::vector<StateField>& out_;
};

}  // namespace

void append_state(const engine::port::Stateful& part, std::vector<StateField>& out) {
  capnp::MallocMessageBuilder message;
  auto root = message.initRoot<DynamicStruct>(part.state_schema());
  part.save_state(root);
  Flattener(std::string(part.state_name()), out).add("", root.asReader());
}

}  // namespace hindsight::debugger::session
