// Runs a fuzz target without libFuzzer: every file of the corpus folders given, then generated inputs that
// are the same on every run. A crash or a failed check is the failure.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

constexpr int kGeneratedInputs = 500;
constexpr std::size_t kMaxGeneratedBytes = 512;

std::vector<std::uint8_t> read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

int main(int argc, char** argv) {
  int from_corpus = 0;
  for (int i = 1; i < argc; ++i) {
    if (!std::filesystem::is_directory(argv[i])) continue;
    for (const auto& entry : std::filesystem::directory_iterator(argv[i])) {
      const auto bytes = read_file(entry.path());
      LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
      ++from_corpus;
    }
  }
  std::mt19937 random(1);
  for (int i = 0; i < kGeneratedInputs; ++i) {
    std::vector<std::uint8_t> bytes(random() % kMaxGeneratedBytes);
    std::ranges::generate(bytes, [&] { return static_cast<std::uint8_t>(random()); });
    LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  }
  std::printf("%d corpus files and %d generated inputs\n", from_corpus, kGeneratedInputs);
  return 0;
}
