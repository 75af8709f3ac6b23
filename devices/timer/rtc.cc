#include "devices/timer/rtc.h"

#include <algorithm>

#include "devices/core/access.h"
#include "devices/core/ticks.h"
#include "engine/base/little_endian.h"

namespace hindsight::devices::timer {

namespace {

constexpr std::uint8_t kSeconds = 0, kSecondsAlarm = 1, kMinutes = 2, kMinutesAlarm = 3, kHours = 4;
constexpr std::uint8_t kHoursAlarm = 5, kDayOfWeek = 6, kDay = 7, kMonth = 8, kYear = 9;
constexpr std::uint8_t kA = 10, kB = 11, kC = 12, kD = 13;

constexpr std::uint8_t kUpdateInProgress = 0x80;
constexpr std::uint8_t kSet = 0x80, kPie = 0x40, kAie = 0x20, kUie = 0x10, kBinary = 0x04, k24Hour = 0x02;
constexpr std::uint8_t kIrqf = 0x80, kPf = 0x40, kAf = 0x20, kUf = 0x10;
constexpr std::uint8_t kDividerRunning = 0x20, kDividerMask = 0x70;

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kDaySeconds = 86'400;
constexpr std::int64_t kUpdateNoticeNs = 244'000;  // UIP rises this long before an update
constexpr std::uint64_t kPeriodicHertz = 32'768;
/// Years 1 to 9999, so that nothing overflows whatever a guest or a file says.
constexpr std::int64_t kEarliest = -62'135'596'800, kLatest = 253'402'300'799;
constexpr std::int64_t kWallLimit = std::int64_t{1} << 62;      // nanoseconds: years 1823 to 2116
constexpr std::uint64_t kUptimeLimit = std::uint64_t{1} << 61;  // so that the sum fits: 73 years

constexpr std::int64_t floor_div(std::int64_t a, std::int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }

struct Date {
  std::int64_t year;
  unsigned month;  // 1..12
  unsigned day;    // 1..31
};

// Days since 1970-01-01 and back, by eras of 400 years starting in March.
constexpr std::int64_t days_of(Date date) {
  const std::int64_t y = date.month <= 2 ? date.year - 1 : date.year;
  const std::int64_t era = floor_div(y, 400);
  const std::int64_t year_of_era = y - era * 400;
  const std::int64_t month = date.month > 2 ? date.month - 3 : date.month + 9;
  const std::int64_t day_of_year = (153 * month + 2) / 5 + date.day - 1;
  return era * 146'097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719'468;
}

constexpr Date date_of(std::int64_t days) {
  const std::int64_t shifted = days + 719'468;
  const std::int64_t era = floor_div(shifted, 146'097);
  const std::int64_t day_of_era = shifted - era * 146'097;
  const std::int64_t year_of_era =
      (day_of_era - day_of_era / 1460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
  const std::int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const std::int64_t month = (5 * day_of_year + 2) / 153;
  const unsigned civil = static_cast<unsigned>(month < 10 ? month + 3 : month - 9);
  return {.year = year_of_era + era * 400 + (civil <= 2 ? 1 : 0),
          .month = civil,
          .day = static_cast<unsigned>(day_of_year - (153 * month + 2) / 5 + 1)};
}
static_assert(days_of({2000, 3, 1}) == 11'017 && date_of(11'016).month == 2 && date_of(11'016).day == 29);

/// Clocks of 32768 Hz in a period; 0 when off (datasheet, table 5).
constexpr std::uint64_t periodic_clocks(std::uint8_t a) {
  const unsigned rate = a & 0x0F;
  if (rate == 0) return 0;
  return std::uint64_t{1} << (rate <= 2 ? rate + 6 : rate - 1);
}

constexpr bool is_time_byte(std::uint8_t index) {
  return (index <= kYear && index != kSecondsAlarm && index != kMinutesAlarm && index != kHoursAlarm) ||
         index == Rtc::kCentury;
}

}  // namespace

Rtc::Rtc(const engine::port::Clock& clock, engine::port::TimerService& timers, std::function<void(bool)> irq)
    : clock_(clock), timers_(timers), irq_(std::move(irq)), timer_(timers.create("rtc", [this] {
        sync();
        update();
      })) {
  nvram_[kA] = 0x26;  // divider running, 1024 Hz
  nvram_[kB] = k24Hour;
  update();
}

void Rtc::power_on(engine::port::HostPort& host) {
  std::array<std::byte, 8> sample{};
  host.sample(engine::port::Channel::wall_clock, 0, sample);
  const std::uint64_t nanoseconds = load_little_endian(std::span(sample));
  const std::int64_t wall = static_cast<std::int64_t>(std::min<std::uint64_t>(nanoseconds, kWallLimit));
  epoch_offset_ = wall - static_cast<std::int64_t>(std::min(clock_.now().value, kUptimeLimit));
  last_sync_ = clock_.now();
  update();
}

void Rtc::reset() {
  sync();
  nvram_[kB] = static_cast<std::uint8_t>(nvram_[kB] & ~(kPie | kAie | kUie));
  flags_ = 0;
  index_ = 0;
  update();
}

bool Rtc::halted() const {
  return (nvram_[kB] & kSet) != 0 || (nvram_[kA] & kDividerMask) != kDividerRunning;
}

std::int64_t Rtc::wall(VirtualTime at) const {
  return epoch_offset_ + static_cast<std::int64_t>(std::min(at.value, kUptimeLimit));
}

unsigned Rtc::decode(std::uint8_t raw) const {
  return (nvram_[kB] & kBinary) != 0 ? raw : (raw >> 4) * 10U + (raw & 0xF);
}

std::uint8_t Rtc::encode(unsigned value) const {
  return static_cast<std::uint8_t>((nvram_[kB] & kBinary) != 0 ? value : (value / 10 << 4) | value % 10);
}

unsigned Rtc::decode_hours(std::uint8_t raw) const {
  if ((nvram_[kB] & k24Hour) != 0) return decode(raw);
  return decode(raw & 0x7F) % 12 + ((raw & 0x80) != 0 ? 12 : 0);
}

void Rtc::encode_time(std::int64_t seconds, Nvram& out) const {
  seconds = std::clamp(seconds, kEarliest, kLatest);
  const std::int64_t days = floor_div(seconds, kDaySeconds);
  const unsigned of_day = static_cast<unsigned>(seconds - days * kDaySeconds);
  const Date date = date_of(days);
  const unsigned hour = of_day / 3600;
  out[kSeconds] = encode(of_day % 60);
  out[kMinutes] = encode(of_day / 60 % 60);
  if ((nvram_[kB] & k24Hour) != 0) {
    out[kHours] = encode(hour);
  } else {
    const unsigned of_half = hour % 12 == 0 ? 12 : hour % 12;
    out[kHours] = static_cast<std::uint8_t>(encode(of_half) | (hour >= 12 ? 0x80 : 0));
  }
  out[kDayOfWeek] = encode(static_cast<unsigned>(((days + 4) % 7 + 7) % 7) + 1);  // Sunday is 1
  out[kDay] = encode(date.day);
  out[kMonth] = encode(date.month);
  out[kYear] = encode(static_cast<unsigned>(date.year % 100));
  out[kCentury] = encode(static_cast<unsigned>(date.year / 100));
}

std::int64_t Rtc::decode_time(const Nvram& in) const {
  const Date date{.year = std::clamp<std::int64_t>(decode(in[kCentury]) * 100 + decode(in[kYear]), 1, 9999),
                  .month = std::clamp(decode(in[kMonth]), 1U, 12U),
                  .day = std::clamp(decode(in[kDay]), 1U, 31U)};
  return days_of(date) * kDaySeconds + decode_hours(in[kHours]) * 3600 + decode(in[kMinutes]) * 60 +
         decode(in[kSeconds]);
}

std::optional<std::int64_t> Rtc::next_alarm(std::int64_t after) const {
  // A byte of C0h and above matches anything (datasheet, "Time, Calendar, and Alarm Locations").
  const auto matches = [](std::uint8_t raw, unsigned alarm, unsigned value) {
    return raw >= 0xC0 || alarm == value;
  };
  const unsigned hours = decode_hours(nvram_[kHoursAlarm]), minutes = decode(nvram_[kMinutesAlarm]);
  const unsigned seconds = decode(nvram_[kSecondsAlarm]);
  const std::int64_t first = after + 1;
  for (std::int64_t at = first; at <= first + kDaySeconds;) {
    const unsigned of_day = static_cast<unsigned>(at - floor_div(at, kDaySeconds) * kDaySeconds);
    if (!matches(nvram_[kHoursAlarm], hours, of_day / 3600)) {
      at += 3600 - of_day % 3600;
    } else if (!matches(nvram_[kMinutesAlarm], minutes, of_day / 60 % 60)) {
      at += 60 - of_day % 60;
    } else if (!matches(nvram_[kSecondsAlarm], seconds, of_day % 60)) {
      ++at;
    } else {
      return at;
    }
  }
  return std::nullopt;
}

std::uint8_t Rtc::flags_now() const {
  std::uint8_t flags = flags_;
  const VirtualTime now = clock_.now();
  if (now <= last_sync_) return flags;
  const std::uint64_t clocks = periodic_clocks(nvram_[kA]);
  if (clocks != 0 &&
      core::ticks_at(now, kPeriodicHertz) / clocks != core::ticks_at(last_sync_, kPeriodicHertz) / clocks) {
    flags |= kPf;
  }
  if (halted()) return flags;
  const std::int64_t before = floor_div(wall(last_sync_), kSecond), after = floor_div(wall(now), kSecond);
  if (before == after) return flags;
  flags |= kUf;
  const auto alarm = next_alarm(before);
  if (alarm && *alarm <= after) flags |= kAf;
  return flags;
}

void Rtc::sync() {
  flags_ = flags_now();
  last_sync_ = clock_.now();
}

void Rtc::update() {
  const std::uint8_t enables = nvram_[kB] & (kPie | kAie | kUie);
  irq_((flags_ & enables) != 0);
  VirtualTime next = VirtualTime::max();
  const VirtualTime now = clock_.now();
  const std::uint8_t wanted = static_cast<std::uint8_t>(enables & ~flags_);
  const std::uint64_t clocks = periodic_clocks(nvram_[kA]);
  if ((wanted & kPie) != 0 && clocks != 0) {
    const std::uint64_t run = core::ticks_at(now, kPeriodicHertz) / clocks;
    next = std::min(next, core::time_of_tick(core::Wide{run + 1} * clocks, kPeriodicHertz));
  }
  if ((wanted & (kUie | kAie)) != 0 && !halted()) {
    const std::int64_t second = floor_div(wall(now), kSecond);
    std::optional<std::int64_t> at;
    if ((wanted & kUie) != 0) {
      at = second + 1;
    } else {
      at = next_alarm(second);
    }
    // wall(now) < at * 1 s, so the difference is positive.
    if (at) next = std::min(next, now + static_cast<std::uint64_t>(*at * kSecond - wall(now)));
  }
  if (next == VirtualTime::max()) {
    timers_.cancel(timer_);
  } else {
    timers_.arm(timer_, next);
  }
}

std::uint8_t Rtc::value_of(std::uint8_t index) const {
  if (is_time_byte(index) && !halted()) {
    Nvram shown{};
    encode_time(floor_div(wall(clock_.now()), kSecond), shown);
    return shown[index];
  }
  switch (index) {
    case kA: {
      const std::int64_t now = wall(clock_.now());
      const bool updating = !halted() && now - floor_div(now, kSecond) * kSecond >= kSecond - kUpdateNoticeNs;
      return static_cast<std::uint8_t>(nvram_[kA] | (updating ? kUpdateInProgress : 0));
    }
    case kC: {
      const std::uint8_t flags = flags_now();
      return static_cast<std::uint8_t>(flags | ((flags & nvram_[kB] & (kPf | kAf | kUf)) != 0 ? kIrqf : 0));
    }
    case kD:
      return 0x80;  // VRT: the battery is good
    default:
      return nvram_[index];
  }
}

void Rtc::write_register(std::uint8_t index, std::uint8_t value) {
  sync();
  if (index == kC || index == kD) return;
  const bool was_halted = halted();
  const VirtualTime now = clock_.now();
  if (!was_halted && (is_time_byte(index) || index == kA || index == kB)) {
    encode_time(floor_div(wall(now), kSecond), nvram_);
  }
  const std::int64_t fraction = wall(now) - floor_div(wall(now), kSecond) * kSecond;
  nvram_[index] = index == kA ? value & 0x7F : value;
  // SET clears update interrupts (datasheet, register B).
  if (index == kB && (value & kSet) != 0) nvram_[kB] = static_cast<std::uint8_t>(value & ~kUie);
  const bool time_written = is_time_byte(index) && !halted();
  if (time_written || (was_halted && !halted())) {
    // The divider restarts half a second before the first update (datasheet, "Divider Stages"); releasing SET
    // alone keeps the fraction of the second.
    const std::int64_t into_second = index == kA ? kSecond / 2 : fraction;
    epoch_offset_ = 0;
    const std::int64_t shown = std::clamp(decode_time(nvram_), -kWallLimit / kSecond, kWallLimit / kSecond);
    epoch_offset_ = std::clamp(shown * kSecond + into_second - wall(now), -kWallLimit, kWallLimit);
  }
  update();
}

std::uint64_t Rtc::peek(std::uint64_t offset, unsigned size) const {
  return core::read_lanes(offset, size, kPortCount, [this](std::uint64_t at) {
    return at == 0 ? std::uint8_t{0xFF} : value_of(index_);  // the index port is write-only
  });
}

std::uint64_t Rtc::read(std::uint64_t offset, unsigned size) {
  const std::uint64_t value = peek(offset, size);
  const bool data = offset <= 1 && offset + size > 1;
  if (data && index_ == kC) {
    sync();
    flags_ = 0;
    update();
  }
  return value;
}

void Rtc::write(std::uint64_t offset, unsigned size, std::uint64_t value) {
  core::write_lanes(offset, size, kPortCount, value, [this](std::uint64_t at, std::uint8_t byte) {
    if (at == 0) {
      index_ = byte & 0x7F;  // bit 7 masks NMI, of which there are none
    } else {
      write_register(index_, byte);
    }
  });
}

void Rtc::save(traces::schema::RtcState::Builder out) const {
  out.setIndex(index_);
  out.setNvram(capnp::Data::Reader(nvram_.data(), nvram_.size()));
  out.setEpochOffset(epoch_offset_);
  out.setFlags(flags_);
  out.setLastSync(last_sync_.value);
}

void Rtc::load(traces::schema::RtcState::Reader in) {
  index_ = in.getIndex() & 0x7F;
  nvram_ = {};
  const auto data = in.getNvram();
  std::copy_n(data.begin(), std::min<std::size_t>(data.size(), nvram_.size()), nvram_.begin());
  nvram_[kA] &= 0x7F;
  epoch_offset_ = std::clamp(in.getEpochOffset(), -kWallLimit, kWallLimit);
  flags_ = in.getFlags() & (kPf | kAf | kUf);
  last_sync_ = VirtualTime(in.getLastSync());
  update();
}

}  // namespace hindsight::devices::timer
