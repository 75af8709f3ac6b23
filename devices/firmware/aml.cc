#include "devices/firmware/aml.h"

#include <algorithm>

#include "engine/base/check.h"
#include "engine/base/little_endian.h"

namespace hindsight::devices::firmware::aml {

namespace {

void append(Bytes& to, const Bytes& from) { to.insert(to.end(), from.begin(), from.end()); }

void append_le(Bytes& to, std::uint64_t value, unsigned size) {
  to.resize(to.size() + size);
  store_little_endian(std::span(to).last(size), value);
}

/// PkgLength (20.2.4) counts itself: the shortest form that holds the sum.
Bytes with_length(const Bytes& body) {
  Bytes out;
  if (body.size() + 1 < 0x40) {
    out.push_back(static_cast<std::uint8_t>(body.size() + 1));
  } else {
    unsigned extra = 1;
    while (body.size() + 1 + extra >= std::size_t{1} << (4 + 8 * extra)) ++extra;
    CHECK(extra <= 3, "an AML package of {} bytes", body.size());
    const std::size_t length = body.size() + 1 + extra;
    out.push_back(static_cast<std::uint8_t>((extra << 6) | (length & 0xF)));
    append_le(out, length >> 4, extra);
  }
  append(out, body);
  return out;
}

Bytes term(std::initializer_list<std::uint8_t> opcode, const Bytes& body) {
  Bytes out(opcode);
  append(out, with_length(body));
  return out;
}

/// Address space descriptors (6.4.3.5): fixed minimum and maximum, positive decode, producer.
Bytes window(std::uint8_t tag, unsigned width, std::uint8_t type, std::uint8_t flags, std::uint64_t first,
             std::uint64_t last) {
  Bytes out{tag};
  append_le(out, 3 + 5 * width, 2);
  out.insert(out.end(), {type, 0x0C, flags});
  append_le(out, 0, width);  // granularity
  append_le(out, first, width);
  append_le(out, last, width);
  append_le(out, 0, width);  // translation
  append_le(out, last - first + 1, width);
  return out;
}

}  // namespace

Bytes concat(std::initializer_list<Bytes> parts) {
  Bytes out;
  for (const Bytes& part : parts) append(out, part);
  return out;
}

Bytes path(std::string_view name) {
  Bytes out, segments;
  if (name.starts_with('\\')) {
    out.push_back('\\');
    name.remove_prefix(1);
  }
  unsigned count = 0;
  while (!name.empty()) {
    const std::string_view segment = name.substr(0, name.find('.'));
    name.remove_prefix(std::min(name.size(), segment.size() + 1));
    CHECK(!segment.empty() && segment.size() <= 4, "AML name segment \"{}\"", segment);
    for (unsigned i = 0; i < 4; ++i) {
      segments.push_back(i < segment.size() ? static_cast<std::uint8_t>(segment[i]) : std::uint8_t{'_'});
    }
    ++count;
  }
  if (count == 0) out.push_back(0x00);
  if (count == 2) out.push_back(0x2E);
  if (count > 2) out.insert(out.end(), {0x2F, static_cast<std::uint8_t>(count)});
  append(out, segments);
  return out;
}

Bytes integer(std::uint64_t value) {
  if (value <= 1) return {static_cast<std::uint8_t>(value)};
  Bytes out;
  if (value <= 0xFF) {
    out.push_back(0x0A);
    append_le(out, value, 1);
  } else if (value <= 0xFFFF) {
    out.push_back(0x0B);
    append_le(out, value, 2);
  } else if (value <= 0xFFFFFFFF) {
    out.push_back(0x0C);
    append_le(out, value, 4);
  } else {
    out.push_back(0x0E);
    append_le(out, value, 8);
  }
  return out;
}

Bytes string(std::string_view text) {
  Bytes out{0x0D};
  out.insert(out.end(), text.begin(), text.end());
  out.push_back(0);
  return out;
}

Bytes eisa_id(std::string_view id) {
  CHECK(id.size() == 7, "EISA identifier \"{}\"", id);
  std::uint32_t value = 0;
  for (unsigned i = 0; i < 3; ++i) value = (value << 5) | (static_cast<std::uint32_t>(id[i] - '@') & 0x1F);
  for (unsigned i = 3; i < 7; ++i) {
    const char digit = id[i];
    value = (value << 4) | static_cast<std::uint32_t>(digit <= '9' ? digit - '0' : digit - 'A' + 10);
  }
  Bytes out{0x0C};
  for (unsigned i = 0; i < 4; ++i) out.push_back(static_cast<std::uint8_t>(value >> (24 - 8 * i)));
  return out;
}

Bytes buffer(const Bytes& contents) { return term({0x11}, concat({integer(contents.size()), contents})); }

Bytes package(const std::vector<Bytes>& elements) {
  CHECK(elements.size() <= 255);
  Bytes body{static_cast<std::uint8_t>(elements.size())};
  for (const Bytes& element : elements) append(body, element);
  return term({0x12}, body);
}

Bytes name(std::string_view name, const Bytes& value) { return concat({{0x08}, path(name), value}); }
Bytes scope(std::string_view name, const Bytes& body) { return term({0x10}, concat({path(name), body})); }
Bytes device(std::string_view name, const Bytes& body) {
  return term({0x5B, 0x82}, concat({path(name), body}));
}
Bytes method(std::string_view name, unsigned arguments, const Bytes& body) {
  return term({0x14}, concat({path(name), {static_cast<std::uint8_t>(arguments & 7)}, body}));
}
Bytes store(const Bytes& value, const Bytes& target) { return concat({{0x70}, value, target}); }
Bytes if_then(const Bytes& condition, const Bytes& body) { return term({0xA0}, concat({condition, body})); }
Bytes return_value(const Bytes& value) { return concat({{0xA4}, value}); }
Bytes argument(unsigned index) { return {static_cast<std::uint8_t>(0x68 + index)}; }

Bytes resources(std::initializer_list<Bytes> descriptors) {
  Bytes all = concat(descriptors);
  all.insert(all.end(), {0x79, 0x00});  // end tag; checksum 0: not checked (6.4.2.9)
  return buffer(all);
}

Bytes io_ports(std::uint16_t base, std::uint8_t count) {
  Bytes out{0x47, 0x01};  // 16-bit decode
  append_le(out, base, 2);
  append_le(out, base, 2);
  out.insert(out.end(), {0x01, count});
  return out;
}

Bytes irq(unsigned line) {
  Bytes out{0x22};
  append_le(out, std::uint64_t{1} << line, 2);
  return out;
}

Bytes fixed_memory(std::uint32_t base, std::uint32_t size) {
  Bytes out{0x86, 0x09, 0x00, 0x01};  // read/write
  append_le(out, base, 4);
  append_le(out, size, 4);
  return out;
}

Bytes bus_window(std::uint16_t first, std::uint16_t last) { return window(0x88, 2, 2, 0x00, first, last); }
Bytes io_window(std::uint16_t first, std::uint16_t last) { return window(0x88, 2, 1, 0x03, first, last); }
// Not cacheable, read/write.
Bytes memory_window32(std::uint32_t first, std::uint32_t last) {
  return window(0x87, 4, 0, 0x01, first, last);
}
Bytes memory_window64(std::uint64_t first, std::uint64_t last) {
  return window(0x8A, 8, 0, 0x01, first, last);
}

}  // namespace hindsight::devices::firmware::aml
