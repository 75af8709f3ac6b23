#include "tests/support/tiny_kernel.h"

#include "tests/support/kallsyms_image.h"

namespace hindsight::tests::support {
namespace {

using Bytes = SparseMemory::Bytes;
using debugger::symbols::OrcEntry;
using debugger::symbols::OrcFormat;
using Base = OrcEntry::Base;
using Kind = OrcEntry::Kind;

constexpr GuestVirt kAddresses{TinyKernel::kOrc}, kEntries{TinyKernel::kOrc.value + 0x1000};
constexpr GuestVirt kModules{TinyKernel::kData}, kLogPointer{TinyKernel::kData.value + 0x20};
constexpr GuestVirt kRing{TinyKernel::kData.value + 0x100}, kDescriptors{TinyKernel::kData.value + 0x1000};
constexpr GuestVirt kInfos{TinyKernel::kData.value + 0x2000}, kLogText{TinyKernel::kData.value + 0x3000};
constexpr GuestVirt kSignal{TinyKernel::kData.value + 0x3a00}, kOtherSignal{TinyKernel::kData.value + 0x3a80};
constexpr std::uint64_t kBtfSize = 0x400;
// Members of task_struct, in bytes; those of an unnamed union begin at 0x40.
constexpr std::uint64_t kState = 0x00, kOnCpu = 0x04, kMm = 0x08, kTasks = 0x10, kPid = 0x20, kTgid = 0x24,
                        kSignalAt = 0x28, kThreadNode = 0x30, kComm = 0x40, kThread = 0x50,
                        kSpInThread = 0x18;
constexpr std::uint64_t kThreadHead = 0x10;  // of signal_struct
constexpr unsigned kLogBits = 8, kRecordBits = 2;

struct Place {
  GuestVirt from;
  OrcEntry entry;
};

const std::vector<Place>& places() {
  static const std::vector<Place> kPlaces{
      {TinyKernel::kOuter, {8, 0, Base::sp, Base::undefined, Kind::call}},
      {TinyKernel::kOuter + 4, {40, 0, Base::sp, Base::undefined, Kind::call}},
      {TinyKernel::kInner, {8, 0, Base::sp, Base::undefined, Kind::call}},
      {TinyKernel::kInner + 1, {16, -16, Base::sp, Base::previous_sp, Kind::call}},
      {TinyKernel::kInner + 4, {16, -16, Base::bp, Base::previous_sp, Kind::call}},
      {TinyKernel::kEntry, {0, 0, Base::sp, Base::undefined, Kind::registers}},
      {TinyKernel::kEntry + 0x80, {8, 0, Base::sp, Base::undefined, Kind::frame}},
      {TinyKernel::kBottom, {0, 0, Base::undefined, Base::undefined, Kind::bottom}},
      {TinyKernel::kBottom + 0x80, {0, 0, Base::undefined, Base::undefined, Kind::unknown}},
      {TinyKernel::kThunk, {0, 0, Base::undefined, Base::undefined, Kind::bottom}},
      {TinyKernel::kThunk + 0x10, {8, 0, Base::sp, Base::undefined, Kind::call}},
      {TinyKernel::kThunk + 0x15, {0, 0, Base::undefined, Base::undefined, Kind::unknown}}};
  return kPlaces;
}

unsigned bits_of(Kind kind, OrcFormat format) {
  const bool wide = format == OrcFormat::wide_type;
  const unsigned signal = format == OrcFormat::type_signal_end ? 4 : 0;
  switch (kind) {
    case Kind::unknown:
      return 0;
    case Kind::bottom:
      return wide ? 1 : format == OrcFormat::type_end ? 4 : 8;
    case Kind::call:
      return wide ? 2 : 0;
    case Kind::registers:
      return wide ? 3 + 8 : 1 + signal;
    case Kind::frame:
      return wide ? 4 + 8 : 2 + signal;
  }
  return 0;
}

void put_entry(SparseMemory& memory, GuestVirt address_at, GuestVirt entry_at, const Place& place,
               OrcFormat format) {
  memory.store(address_at, static_cast<std::int32_t>(place.from - address_at));
  memory.store(entry_at, place.entry.sp_offset);
  memory.store(entry_at + 2, place.entry.bp_offset);
  memory.store(entry_at + 4, static_cast<std::uint8_t>(static_cast<unsigned>(place.entry.sp_base) |
                                                       static_cast<unsigned>(place.entry.bp_base) << 4));
  memory.store(entry_at + 5, static_cast<std::uint8_t>(bits_of(place.entry.kind, format)));
}

}  // namespace

TinyKernel::TinyKernel(Format format) {
  memory.put(kText, Bytes(0x1000));
  memory.put(kOrc, Bytes(0x2000));
  memory.put(kData, Bytes(0x4000));
  memory.put(kModule, Bytes(0x4000));
  memory.put(kStack, Bytes(kStackSize));
  put_symbols();
  put_orc(format);
  put_module(format);
  put_log();
  put_btf();
  put_tasks();
}

void TinyKernel::put_symbols() {
  std::vector<KallsymsImage::Symbol> symbols{
      {"_text", 'T', kText.value},    {"outer", 'T', kOuter.value},
      {"inner", 't', kInner.value},   {"entry", 'T', kEntry.value},
      {"bottom", 'T', kBottom.value}, {"__x86_indirect_thunk_array", 'T', kThunk.value}};
  for (std::uint64_t i = 0; i < 100; ++i) symbols.push_back({"more", 't', kText.value + 0x1000 + i * 16});
  const std::uint64_t count = places().size();
  symbols.push_back({"_etext", 'T', kText.value + 0x2000});
  symbols.push_back({"__start_orc_unwind_ip", 'r', kAddresses.value});
  symbols.push_back({"__stop_orc_unwind_ip", 'r', kAddresses.value + count * 4});
  symbols.push_back({"__start_orc_unwind", 'r', kEntries.value});
  symbols.push_back({"modules", 'd', kModules.value});
  symbols.push_back({"prb", 'd', kLogPointer.value});
  symbols.push_back({"init_task", 'D', kInitTask.value});
  symbols.push_back({"__start_BTF", 'r', kBtf.value});
  symbols.push_back({"__stop_BTF", 'r', kBtf.value + kBtfSize});
  symbols.push_back({"_end", 'B', kEnd.value});
  memory.put(kTables, KallsymsImage::build(symbols, KallsymsImage::Layout::absolute_per_cpu, kTables));
}

void TinyKernel::put_orc(Format format) {
  for (std::size_t i = 0; i < places().size(); ++i)
    put_entry(memory, kAddresses + i * 4, kEntries + i * 6, places()[i], format);
}

void TinyKernel::put_module(Format format) {
  const GuestVirt at = kModuleStruct;
  memory.store(kModules, at.value + 8);  // the list's head leads to it, and it back
  memory.store(at, std::uint32_t{0});
  memory.store(at + 8, kModules.value);
  memory.store_text(at + 24, "tiny");
  // struct module_layout: base, sizes, and the tree's pointer to the module
  const GuestVirt layout = at + 0x140;
  memory.store(layout, kModule.value);
  memory.store(layout + 8, std::uint32_t{0x4000});
  memory.store(layout + 12, std::uint32_t{0x1000});
  memory.store(layout + 16, std::uint32_t{0x2000});
  memory.store(layout + 20, std::uint32_t{0x2000});
  memory.store(layout + 24, at.value);
  // struct mod_arch_specific
  const GuestVirt addresses = kModule + 0x1000, entries = kModule + 0x1100;
  memory.store(at + 0x1e0, std::uint32_t{2});
  memory.store(at + 0x1e8, addresses.value);
  memory.store(at + 0x1f0, entries.value);
  put_entry(memory, addresses, entries, {kModule + 0x10, {8, 0, Base::sp, Base::undefined, Kind::call}},
            format);
  put_entry(memory, addresses + 4, entries + 6,
            {kModule + 0x14, {24, 0, Base::sp, Base::undefined, Kind::call}}, format);
  // kallsyms, which points behind itself: symbols, count, names, types
  const GuestVirt tables = at + 0x240;
  memory.store(at + 0x238, tables.value);
  memory.store(tables, kModule.value + 0x2000);
  memory.store(tables + 8, std::uint32_t{2});
  memory.store(tables + 16, kModule.value + 0x2100);
  memory.store(tables + 24, kModule.value + 0x2200);
  memory.store(kModule + 0x2018, std::uint32_t{1});
  memory.store(kModule + 0x2018 + 6, std::uint16_t{1});
  memory.store(kModule + 0x2018 + 8, kModule.value + 0x10);
  memory.store(kModule + 0x2018 + 16, std::uint64_t{0x40});
  memory.store_text(kModule + 0x2101, "probe");
  memory.store_text(kModule + 0x2200, "-t");
}

void TinyKernel::put_btf() {
  struct Member {
    std::string_view name;
    std::uint32_t type;
    std::uint64_t offset;
  };
  std::string strings(1, '\0');
  std::vector<std::uint32_t> types;
  const auto text = [&](std::string_view name) {
    if (name.empty()) return std::uint32_t{0};
    const auto at = static_cast<std::uint32_t>(strings.size());
    strings.append(name).push_back('\0');
    return at;
  };
  const auto structure = [&](unsigned kind, std::string_view name, const std::vector<Member>& members) {
    types.insert(types.end(), {text(name), kind << 24 | static_cast<std::uint32_t>(members.size()), 0x100});
    for (const Member& member : members)
      types.insert(types.end(),
                   {text(member.name), member.type, static_cast<std::uint32_t>(member.offset * 8)});
  };
  types.insert(types.end(), {text("word"), 1u << 24, 8, 64});    // 1
  types.insert(types.end(), {text("other_word"), 8u << 24, 1});  // 2: a typedef
  structure(4, "thread_struct", {{"sp", 2, kSpInThread}});       // 3
  types.insert(types.end(), {0, 10u << 24, 3});                  // 4: const
  structure(5, "", {{"older", 1, 0}, {"comm", 1, 0}});           // 5: an unnamed union
  structure(4, "task_struct",
            {{"__state", 1, kState},
             {"on_cpu", 1, kOnCpu},
             {"mm", 1, kMm},
             {"tasks", 1, kTasks},
             {"pid", 1, kPid},
             {"tgid", 1, kTgid},
             {"signal", 1, kSignalAt},
             {"thread_node", 1, kThreadNode},
             {"", 5, kComm},
             {"thread", 4, kThread}});
  structure(4, "signal_struct", {{"thread_head", 1, kThreadHead}});
  const auto types_size = static_cast<std::uint32_t>(types.size() * 4);
  const std::vector<std::uint32_t> header{0x0001eb9f, 24,         0,
                                          types_size, types_size, static_cast<std::uint32_t>(strings.size())};
  Bytes bytes(kBtfSize);
  std::memcpy(bytes.data(), header.data(), 24);
  std::memcpy(bytes.data() + 24, types.data(), types_size);
  std::memcpy(bytes.data() + 24 + types_size, strings.data(), strings.size());
  memory.put(kBtf, std::move(bytes));
}

void TinyKernel::put_tasks() {
  const auto task = [&](GuestVirt at, GuestVirt next, GuestVirt signal, std::uint32_t pid,
                        std::string_view name) {
    memory.store(at + kTasks, next.value + kTasks);
    memory.store(at + kPid, pid);
    memory.store(at + kTgid, pid);
    memory.store(at + kSignalAt, signal.value);
    memory.store(at + kThreadNode, signal.value + kThreadHead);
    memory.store(signal + kThreadHead, at.value + kThreadNode);
    memory.store_text(at + kComm, name);
  };
  task(kInitTask, kTask, kSignal, 0, "swapper/0");
  task(kTask, kInitTask, kOtherSignal, 7, "sleeper");
  memory.store(kInitTask + kOnCpu, std::uint32_t{1});
  memory.store(kTask + kState, std::uint32_t{1});
  // What it pushed when it was switched away, and the address at which it goes on.
  const GuestVirt sp = kStack + 0x3000;
  memory.store(kTask + kThread + kSpInThread, sp.value);
  memory.store(sp + 48, kOuter.value + 8);
  memory.store(sp + 56 + 32, kBottom.value + 7);
}

void TinyKernel::put_log() {
  memory.store(kLogPointer, kRing.value);
  memory.store(kRing, std::uint32_t{kRecordBits});
  memory.store(kRing + 8, kDescriptors.value);
  memory.store(kRing + 16, kInfos.value);
  memory.store(kRing + 40, std::uint32_t{kLogBits});
  memory.store(kRing + 48, kLogText.value);
  put_record(0, 0, "Linux");
  put_record(1, 1'234'567'890, "two\nlines");
  put_record(2, 2'000'000'000, std::string(180, 'x'));
  put_record(3, 3'000'000'000, "wraps around the end");
  memory.store(kRing + 24, std::uint64_t{3});
}

void TinyKernel::put_record(unsigned index, std::uint64_t nanoseconds, std::string_view text) {
  constexpr std::uint64_t kSize = 1 << kLogBits;
  const std::uint64_t size = (8 + text.size() + 7) & ~std::uint64_t{7};
  const std::uint64_t begin = log_position_;
  const bool wraps = begin % kSize + size > kSize;
  const std::uint64_t at = wraps ? 0 : begin % kSize;
  log_position_ = wraps ? (begin / kSize + 1) * kSize + size : begin + size;
  memory.store(kLogText + at, std::uint64_t{index});
  memory.store_text(kLogText + at + 8, text);
  const GuestVirt descriptor = kDescriptors + index * 24, info = kInfos + index * 88;
  memory.store(descriptor, index | std::uint64_t{2} << 62);
  memory.store(descriptor + 8, begin);
  memory.store(descriptor + 16, log_position_);
  memory.store(info, std::uint64_t{index});
  memory.store(info + 8, nanoseconds);
  memory.store(info + 16, static_cast<std::uint16_t>(text.size()));
  memory.store(info + 19, static_cast<std::uint8_t>(6 << 5));
}

}  // namespace hindsight::tests::support
