#include "engine/base/log.h"

#include <spdlog/cfg/helpers.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <array>
#include <memory>
#include <string>

namespace hindsight::log {
namespace {

constexpr std::array<std::string_view, 6> kLevelNames = {"trace", "debug", "info", "warn", "error", "off"};

spdlog::level::level_enum to_spdlog(Level level) {
  constexpr std::array kLevels = {spdlog::level::trace, spdlog::level::debug, spdlog::level::info,
                                  spdlog::level::warn,  spdlog::level::err,   spdlog::level::off};
  return kLevels[static_cast<std::size_t>(level)];
}

const Level* find_level(std::string_view name) {
  static constexpr std::array kLevels = {Level::trace, Level::debug, Level::info,
                                         Level::warn,  Level::error, Level::off};
  for (std::size_t i = 0; i < kLevelNames.size(); ++i)
    if (kLevelNames[i] == name) return &kLevels[i];
  return nullptr;
}

std::shared_ptr<spdlog::logger> logger(std::string_view component) {
  const std::string name(component);
  if (auto existing = spdlog::get(name)) return existing;
  auto made = std::make_shared<spdlog::logger>(name, std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
  made->set_pattern("%n: %^%l%$: %v");
  made->set_level(spdlog::get_level() == spdlog::level::info ? spdlog::level::warn : spdlog::get_level());
  try {
    spdlog::register_logger(made);
  } catch (const spdlog::spdlog_ex&) {
    return spdlog::get(name);
  }
  return made;
}

}  // namespace

Status configure(std::string_view specification) {
  while (!specification.empty()) {
    const auto comma = specification.find(',');
    const auto word = specification.substr(0, comma);
    specification = comma == std::string_view::npos ? std::string_view{} : specification.substr(comma + 1);
    const auto colon = word.find(':');
    const Level* level = find_level(colon == std::string_view::npos ? word : word.substr(colon + 1));
    if (level == nullptr)
      return error(
          "--log: \"{}\" is not LEVEL or COMPONENT:LEVEL with a level of trace, debug, info, warn, "
          "error, off",
          word);
    if (colon == std::string_view::npos)
      spdlog::set_level(to_spdlog(*level));
    else
      logger(word.substr(0, colon))->set_level(to_spdlog(*level));
  }
  return Done{};
}

bool enabled(std::string_view component, Level level) {
  return logger(component)->should_log(to_spdlog(level));
}

void write(std::string_view component, Level level, std::string_view text) {
  logger(component)->log(to_spdlog(level), "{}", text);
}

}  // namespace hindsight::log
