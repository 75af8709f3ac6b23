// The listening socket: only where nobody but this machine's users can reach it. Owned by a server; any
// thread, one at a time.
#pragma once

#include <string>
#include <utility>

#include "engine/base/result.h"

namespace hindsight::debugger::gdb {

/// A file descriptor that is closed with its owner.
class Descriptor final {
 public:
  Descriptor() = default;
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor();
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  [[nodiscard]] int get() const { return number_; }
  [[nodiscard]] bool valid() const { return number_ >= 0; }

 private:
  int number_ = -1;
};

class Listener final {
 public:
  /// `address`: as ServeOptions::listen.
  static Result<Listener> open(const std::string& address);
  /// Whether `address` is one, before anything is tried.
  static Status check(const std::string& address);
  ~Listener();
  Listener(Listener&&) = default;
  Listener& operator=(Listener&&) = delete;

  /// As gdb's `target remote` takes it.
  [[nodiscard]] const std::string& address() const { return address_; }
  [[nodiscard]] int descriptor() const { return socket_.get(); }
  /// A client that has come; invalid if it is gone again.
  [[nodiscard]] Descriptor accept() const;

 private:
  Listener(Descriptor socket, std::string address, std::string path)
      : socket_(std::move(socket)), address_(std::move(address)), path_(std::move(path)) {}
  static Result<Listener> open_port(const std::string& address);
  static Result<Listener> open_path(const std::string& path);

  Descriptor socket_;
  std::string address_;
  std::string path_;  ///< removed at the end; empty: none
};

}  // namespace hindsight::debugger::gdb
