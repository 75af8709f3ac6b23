#include "traces/store/lmdb_error.h"

#include <lmdb.h>
#include <sys/statvfs.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

namespace hindsight::traces::store {

std::string lmdb_message(int code, const std::string& path) {
  if (code <= 0) return mdb_strerror(code);
  // A write that stopped half-way is called an input/output error; usually the disk is full.
  struct statvfs disk {};
  const bool full = code == EIO && ::statvfs(path.c_str(), &disk) == 0 &&
                    std::uint64_t{disk.f_bavail} * disk.f_frsize < (std::uint64_t{1} << 20);
  return std::strerror(full ? ENOSPC : code);
}

}  // namespace hindsight::traces::store
