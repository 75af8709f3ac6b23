#include "engine/base/check.h"

#include <cstdio>
#include <cstdlib>

namespace hindsight {

void check_failed(const char* file, int line, const char* condition, const std::string& detail) {
  fmt::print(stderr, "{}:{}: invariant broken: {}{}{}\n", file, line, condition, detail.empty() ? "" : ": ",
             detail);
  std::fflush(stderr);
  std::abort();
}

}  // namespace hindsight
