#include "debugger/ui/picture.h"

#include <png.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

namespace hindsight::debugger::ui {

Status write_png(const std::string& path, int width, int height, std::span<const std::uint8_t> pixels) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(width);
  image.height = static_cast<png_uint_32>(height);
  image.format = PNG_FORMAT_RGBA;
  // A negative stride: the last row of the buffer is the first of the picture.
  if (png_image_write_to_file(&image, path.c_str(), 0, pixels.data(), -width * 4, nullptr) == 0)
    return error("{}: cannot be written: {}", path, image.message);
  return Done{};
}

}  // namespace hindsight::debugger::ui
