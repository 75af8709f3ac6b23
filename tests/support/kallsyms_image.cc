#include "tests/support/kallsyms_image.h"

#include <fmt/format.h>

#include <array>
#include <string_view>

namespace hindsight::tests::support {
namespace {

using Bytes = std::vector<std::byte>;

void put(Bytes& out, std::uint64_t value, unsigned size) {
  for (unsigned i = 0; i < size; ++i) out.push_back(static_cast<std::byte>(value >> 8 * i));
}

void align(Bytes& out) {
  while (out.size() % 8 != 0) out.push_back(std::byte{0});
}

/// Token i is the character i where names use it; two stand for more.
std::array<std::string, 256> tokens() {
  std::array<std::string, 256> all;
  for (unsigned i = 33; i < 127; ++i) all[i] = std::string(1, static_cast<char>(i));
  all[1] = "Tsys_";
  all[2] = "read";
  return all;
}

std::string compress(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const unsigned token = text.starts_with("Tsys_") ? 1 : text.starts_with("read") ? 2 : 0;
    out += token != 0 ? static_cast<char>(token) : text[0];
    text.remove_prefix(token != 0 ? tokens()[token].size() : 1);
  }
  return out;
}

void put_tokens(Bytes& out) {
  Bytes index;
  std::size_t start = out.size();
  for (const std::string& token : tokens()) {
    put(index, out.size() - start, 2);
    for (const char c : token) put(out, static_cast<unsigned char>(c), 1);
    put(out, 0, 1);
  }
  align(out);
  out.insert(out.end(), index.begin(), index.end());
}

void put_names(Bytes& out, const std::vector<KallsymsImage::Symbol>& symbols) {
  put(out, symbols.size(), 8);
  Bytes markers;
  const std::size_t start = out.size();
  for (std::size_t i = 0; i < symbols.size(); ++i) {
    if (i % 256 == 0) put(markers, out.size() - start, 4);
    const std::string name = compress(symbols[i].type + symbols[i].name);
    if (name.size() < 0x80) {
      put(out, name.size(), 1);
    } else {
      put(out, (name.size() & 0x7F) | 0x80, 1);
      put(out, name.size() >> 7, 1);
    }
    for (const char c : name) put(out, static_cast<unsigned char>(c), 1);
  }
  align(out);
  out.insert(out.end(), markers.begin(), markers.end());
  align(out);
}

bool per_cpu(const KallsymsImage::Symbol& symbol) { return symbol.address < 0x1000000; }

void put_offsets(Bytes& out, const std::vector<KallsymsImage::Symbol>& symbols, KallsymsImage::Layout layout,
                 GuestVirt at) {
  using Layout = KallsymsImage::Layout;
  std::uint64_t base = 0;
  for (auto symbol = symbols.rbegin(); symbol != symbols.rend(); ++symbol)
    if (!per_cpu(*symbol)) base = symbol->address;
  for (const KallsymsImage::Symbol& symbol : symbols) {
    std::uint64_t offset = symbol.address - base;
    if (layout == Layout::place_relative) {
      offset = symbol.address - (at.value + out.size());
    } else if (layout != Layout::base_relative) {
      offset = per_cpu(symbol) ? symbol.address : base - symbol.address - 1;
    }
    put(out, offset, 4);
  }
  align(out);
  if (layout != Layout::place_relative) put(out, base, 8);
}

}  // namespace

Bytes KallsymsImage::build(const std::vector<Symbol>& symbols, Layout layout, GuestVirt at) {
  Bytes out;
  const bool offsets_last = layout == Layout::offsets_last || layout == Layout::place_relative;
  if (!offsets_last) put_offsets(out, symbols, layout, at);
  put_names(out, symbols);
  if (layout == Layout::with_sequences) {
    for (std::size_t i = 0; i < symbols.size(); ++i) put(out, i * 7919 % symbols.size(), 3);
    align(out);
  }
  put_tokens(out);
  if (offsets_last) put_offsets(out, symbols, layout, at);
  return out;
}

std::vector<KallsymsImage::Symbol> KallsymsImage::sample(std::uint64_t base, std::size_t more) {
  std::vector<Symbol> symbols{{"_text", 'T', base},
                              {"_stext", 'T', base},
                              {"sys_read", 'T', base + 0x100},
                              {"local", 't', base + 0x180},
                              {"local", 't', base + 0x1c0}};
  for (std::size_t i = 0; i < more; ++i)
    symbols.push_back({fmt::format("function_{}", i), 't', base + 0x1000 + 0x10 * i});
  const std::uint64_t end = base + 0x1000 + 0x10 * more;
  symbols.push_back({std::string(300, 'x'), 't', end});
  symbols.push_back({"_etext", 'T', end + 0x10});
  symbols.push_back({"jiffies", 'D', end + 0x1000});
  symbols.push_back({"_end", 'B', end + 0x2000});
  return symbols;
}

}  // namespace hindsight::tests::support
