// The two disassemblers that check our x86 decoder, Zydis and Capstone, behind one small face; and the names
// by which the three call the same instruction. Test code; one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace hindsight::tests {

struct PeerInsn {
  unsigned length;
  std::string mnemonic;  ///< as canonical() spells it
  std::string isa;       ///< Zydis's name of the extension; empty from Capstone
};

enum class PeerError : std::uint8_t { none, undefined, illegal_lock };

class DecodePeers {
 public:
  explicit DecodePeers(bool code64);
  ~DecodePeers();
  DecodePeers(const DecodePeers&) = delete;
  DecodePeers& operator=(const DecodePeers&) = delete;

  std::optional<PeerInsn> zydis(std::span<const std::uint8_t> bytes, PeerError* error = nullptr) const;
  std::optional<PeerInsn> capstone(std::span<const std::uint8_t> bytes) const;

 private:
  struct Handles;
  Handles* handles_;
};

/// One spelling of a mnemonic for all three: lower case, the first of each group of aliases.
std::string canonical(std::string mnemonic);

}  // namespace hindsight::tests
