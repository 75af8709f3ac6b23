// What went wrong in LMDB, for people. Any thread.
#pragma once

#include <string>

namespace hindsight::traces::store {

/// `code` is what an LMDB function returned while it worked on the file at `path`.
[[nodiscard]] std::string lmdb_message(int code, const std::string& path);

}  // namespace hindsight::traces::store
