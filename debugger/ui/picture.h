// Pictures of the window as PNG files. Free functions; any thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "engine/base/result.h"

namespace hindsight::debugger::ui {

/// `pixels`: RGBA, the bottom row first, as OpenGL reads them.
Status write_png(const std::string& path, int width, int height, std::span<const std::uint8_t> pixels);

}  // namespace hindsight::debugger::ui
