// gdb's side of the protocol for tests: what a framed reply says. Pure functions; any thread.
#pragma once

#include <cstdio>
#include <optional>
#include <string>
#include <string_view>

namespace hindsight::tests {

/// The payload of "$...#xx" with its runs written out and its escapes undone; nothing if it is not sound.
inline std::optional<std::string> payload_of(std::string_view frame) {
  if (frame.size() < 4 || frame.front() != '$' || frame[frame.size() - 3] != '#') return std::nullopt;
  const std::string_view body = frame.substr(1, frame.size() - 4);
  unsigned sum = 0;
  for (const char c : body) sum += static_cast<unsigned char>(c);
  char expected[3];
  std::snprintf(expected, sizeof expected, "%02x", sum & 0xff);
  if (frame.substr(frame.size() - 2) != expected) return std::nullopt;
  std::string runs, out;
  for (std::size_t i = 0; i < body.size(); ++i) {
    if (body[i] != '*') {
      runs += body[i];
      continue;
    }
    if (i + 1 == body.size() || runs.empty()) return std::nullopt;
    runs.append(static_cast<std::size_t>(body[++i] - 29), runs.back());
  }
  for (std::size_t i = 0; i < runs.size(); ++i) {
    if (runs[i] != '}') {
      out += runs[i];
    } else if (i + 1 < runs.size()) {
      out += static_cast<char>(runs[++i] ^ 0x20);
    } else {
      return std::nullopt;
    }
  }
  return out;
}

}  // namespace hindsight::tests
