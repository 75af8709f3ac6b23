// Other ways in: the stock kernel as an ELF file through its PVH entry, and 32-bit programs under it.
#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/replay/guest_harness.h"

namespace hindsight::tests {
namespace {

using testing::HasSubstr;

std::uint32_t word_at(const std::string& data, std::size_t at) {
  std::uint32_t value = 0;
  for (unsigned i = 0; i < 4; ++i)
    value |= std::uint32_t{static_cast<unsigned char>(data.at(at + i))} << 8 * i;
  return value;
}

/// The tool that unpacks what begins with these bytes, named like its Debian package (xz: xz-utils).
std::string unpacker_of(const std::string& payload) {
  const std::string magic = payload.substr(0, 4);
  if (magic == "\x02\x21\x4c\x18") return "lz4";
  if (magic == "\x28\xb5\x2f\xfd") return "zstd";
  if (magic.substr(0, 2) == "\x1f\x8b") return "gzip";
  return magic == "\xfd"
                  "7zX"
             ? "xz"
             : "";
}

class GuestKinds : public GuestTest {};

TEST_F(GuestKinds, TheKernelsElfFileBootsThroughItsPvhEntry) {
  std::ifstream in(guest("KERNEL"), std::ios::binary);
  const std::string image{std::istreambuf_iterator<char>(in), {}};
  // The Linux/x86 boot protocol: setup_sects, payload_offset, payload_length. The payload ends in its
  // unpacked size, which is not part of the compressed stream.
  const unsigned sectors = image.at(0x1f1) == 0 ? 4 : static_cast<unsigned char>(image[0x1f1]);
  const std::string payload =
      image.substr((sectors + 1) * 512 + word_at(image, 0x248), word_at(image, 0x24c) - 4);
  const std::string tool = unpacker_of(payload);
  ASSERT_NE(tool, "");
  if (run({"sh", "-c", "command -v " + tool}).code != 0)
    GTEST_SKIP() << "skip: " << tool << " is not installed";
  write("payload", payload);
  const Outcome unpacked =
      run({"sh", "-c", fmt::format("{} -dc <{} >{}", tool, path("payload"), path("vmlinux"))});
  ASSERT_EQ(unpacked.code, 0) << unpacked.text;

  kernel_ = path("vmlinux");
  const Outcome recorded = run(record("t.trace", "hs.mode=poweroff"));
  EXPECT_EQ(recorded.code, 0) << recorded.text;
  EXPECT_THAT(recorded.text, HasSubstr("HINDSIGHT-POWEROFF"));
  expect_verified(path("t.trace"));
}

TEST_F(GuestKinds, A32BitProgramRunsUnderThe64BitKernel) {
  std::filesystem::create_directories(path("tree"));
  const Outcome compiled = run({"gcc", "-m32", "-O1", "-static", "-nostdlib", "-ffreestanding", "-fno-pic",
                                "-no-pie", "-fno-stack-protector", "-mno-sse", "-o", path("tree/compat"),
                                std::string(HINDSIGHT_GUESTS) + "/compat32.c"});
  if (compiled.code == 127) GTEST_SKIP() << "skip: gcc is not installed";
  ASSERT_EQ(compiled.code, 0) << compiled.text;
  initrd_ = path("initrd");
  const Outcome packed = run({"sh", "-c",
                              fmt::format("{{ cat {}; {}/pack {}; }} >{}", guest("INITRD"), HINDSIGHT_GUESTS,
                                          path("tree"), initrd_)});
  ASSERT_EQ(packed.code, 0) << packed.text;

  const Outcome recorded = run(record("t.trace", "", {"--script", shell_script("/compat; poweroff -f")}));
  EXPECT_EQ(recorded.code, 0) << recorded.text;
  for (const char* what :
       {"int80", "vdso", "syscall", "signal", "tls", "decimal", "stack", "x87", "long-mode"})
    EXPECT_THAT(recorded.text, HasSubstr(std::string("HS-OK compat-") + what));
  EXPECT_THAT(recorded.text, HasSubstr("compat-entry sysenter"));
  expect_verified(path("t.trace"));
  expect_verified(path("t.trace"), fmt::format("jit:interp-from={}", end_of(path("t.trace")) - 10'000'000));
}

}  // namespace
}  // namespace hindsight::tests
