#include "tests/support/device_exercise.h"

#include <capnp/serialize.h>
#include <kj/array.h>

#include <algorithm>
#include <cstring>

#include "engine/base/check.h"

namespace hindsight::tests::support {

std::vector<std::uint8_t> save(const DeviceUnderTest& device) {
  std::vector<std::uint8_t> bytes;
  for (const port::Stateful* part : device.state) {
    capnp::MallocMessageBuilder message;
    auto root = message.initRoot<capnp::DynamicStruct>(part->state_schema());
    part->save_state(root);
    const kj::Array<capnp::word> words = capnp::messageToFlatArray(message);
    const std::uint64_t size = words.size() * sizeof(capnp::word);
    const std::size_t at = bytes.size();
    bytes.resize(at + 8 + size);
    std::memcpy(bytes.data() + at, &size, 8);
    std::memcpy(bytes.data() + at + 8, words.begin(), size);
  }
  return bytes;
}

void load(const DeviceUnderTest& device, std::span<const std::uint8_t> saved) {
  std::size_t at = 0;
  for (port::Stateful* part : device.state) {
    std::uint64_t size = 0;
    CHECK(at + 8 <= saved.size());
    std::memcpy(&size, saved.data() + at, 8);
    auto words = kj::heapArray<capnp::word>(size / sizeof(capnp::word));
    std::memcpy(words.asBytes().begin(), saved.data() + at + 8, size);
    at += 8 + size;
    capnp::FlatArrayMessageReader reader(words);
    part->load_state(reader.getRoot<capnp::DynamicStruct>(part->state_schema()));
  }
}

std::uint64_t Exercise::random() {
  if (!bytes_.empty()) {
    std::uint64_t value = 0;
    const std::size_t count = std::min<std::size_t>(bytes_.size(), 8);
    std::memcpy(&value, bytes_.data(), count);
    bytes_ = bytes_.subspan(count);
    state_ ^= value;
    return value;
  }
  // splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
  std::uint64_t z = (state_ += 0x9E3779B97F4A7C15u);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

Access Exercise::random_access() {
  const IoRange& range = device_.ranges.at(random() % device_.ranges.size());
  const std::uint64_t bits = random();
  const unsigned size = 1U << (bits % (range.space == IoSpace::ports ? 3 : 4));
  std::uint64_t offset = (bits >> 8) % range.size;
  if ((bits & 0x80) == 0) offset &= ~std::uint64_t{size - 1};
  return {range.handler, offset, size};
}

void Exercise::run(unsigned steps) {
  for (unsigned i = 0; i < steps; ++i) step();
}

void Exercise::step() {
  const std::uint64_t what = random();
  switch (what % 8) {
    case 0:
    case 1:
    case 2: {
      const Access access = random_access();
      digest_ = (digest_ ^ access.handler->read(access.offset, access.size)) * 0x100000001B3u;
      break;
    }
    case 3:
    case 4:
    case 5: {
      const Access access = random_access();
      // Registers are full of small numbers: half of the values are.
      const std::uint64_t value = random() >> ((what >> 8) % 2 ? 0 : (what >> 9) % 64);
      access.handler->write(access.offset, access.size,
                            value & (~std::uint64_t{0} >> (64 - 8 * access.size)));
      break;
    }
    case 6:
      if (device_.stimulate) device_.stimulate(random());
      break;
    default:
      world_.time.advance(random() >> (34 + (what >> 8) % 30), 100);
      break;
  }
}

void Exercise::peek_everywhere() {
  for (const IoRange& range : device_.ranges) {
    for (const unsigned size : {1U, 2U, 4U, 8U}) {
      if (size == 8 && range.space == IoSpace::ports) continue;
      const std::uint64_t stride = range.size <= 64 ? 1 : range.size / 61;
      for (std::uint64_t offset = 0; offset < range.size; offset += stride) {
        digest_ = (digest_ ^ range.handler->peek(offset, size)) * 0x100000001B3u;
      }
    }
  }
}

namespace {

void fill_randomly(capnp::DynamicStruct::Builder out, const std::function<std::uint64_t()>& random);

/// A random value for a primitive; lists and structs are filled in place.
void fill_field(capnp::DynamicStruct::Builder out, capnp::StructSchema::Field field,
                const std::function<std::uint64_t()>& random) {
  const capnp::Type type = field.getType();
  const std::uint64_t bits = random();
  switch (type.which()) {
    case capnp::schema::Type::BOOL:
      out.set(field, (bits & 1) != 0);
      break;
    case capnp::schema::Type::INT8:
      out.set(field, static_cast<std::int8_t>(bits));
      break;
    case capnp::schema::Type::INT16:
      out.set(field, static_cast<std::int16_t>(bits));
      break;
    case capnp::schema::Type::INT32:
      out.set(field, static_cast<std::int32_t>(bits));
      break;
    case capnp::schema::Type::INT64:
      out.set(field, static_cast<std::int64_t>(bits));
      break;
    case capnp::schema::Type::UINT8:
      out.set(field, static_cast<std::uint8_t>(bits));
      break;
    case capnp::schema::Type::UINT16:
      out.set(field, static_cast<std::uint16_t>(bits));
      break;
    case capnp::schema::Type::UINT32:
      out.set(field, static_cast<std::uint32_t>(bits));
      break;
    case capnp::schema::Type::UINT64:
      out.set(field, bits);
      break;
    case capnp::schema::Type::STRUCT:
      fill_randomly(out.init(field).as<capnp::DynamicStruct>(), random);
      break;
    case capnp::schema::Type::DATA: {
      std::vector<std::uint8_t> data(bits % 300);
      for (std::uint8_t& byte : data) byte = static_cast<std::uint8_t>(random());
      out.set(field, capnp::Data::Reader(data.data(), data.size()));
      break;
    }
    case capnp::schema::Type::LIST: {
      const unsigned size = static_cast<unsigned>(bits % 20);
      auto list = out.init(field, size).as<capnp::DynamicList>();
      const capnp::Type element = type.asList().getElementType();
      for (unsigned i = 0; i < size; ++i) {
        if (element.isStruct()) {
          fill_randomly(list[i].as<capnp::DynamicStruct>(), random);
        } else if (element.isUInt8()) {
          list.set(i, static_cast<std::uint8_t>(random()));
        } else if (element.isUInt16()) {
          list.set(i, static_cast<std::uint16_t>(random()));
        } else if (element.isUInt32()) {
          list.set(i, static_cast<std::uint32_t>(random()));
        } else if (element.isUInt64()) {
          list.set(i, random());
        } else if (element.isBool()) {
          list.set(i, (random() & 1) != 0);
        }
      }
      break;
    }
    default:
      break;
  }
}

void fill_randomly(capnp::DynamicStruct::Builder out, const std::function<std::uint64_t()>& random) {
  for (const capnp::StructSchema::Field field : out.getSchema().getFields()) fill_field(out, field, random);
}

}  // namespace

void Exercise::load_garbage() {
  for (port::Stateful* part : device_.state) {
    capnp::MallocMessageBuilder message;
    auto root = message.initRoot<capnp::DynamicStruct>(part->state_schema());
    fill_randomly(root, [this] { return random(); });
    part->load_state(root.asReader());
  }
}

}  // namespace hindsight::tests::support
