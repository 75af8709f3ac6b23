// What gdb is told and what it answers, for tests that drive the real one. Free functions; any thread.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <regex>
#include <string>
#include <vector>

namespace hindsight::tests {

/// What gdb printed for each command of a script, by the command's number.
class Answers {
 public:
  explicit Answers(std::string all) : all_(std::move(all)) {
    const std::regex mark("@([0-9]+)@\n");
    for (std::sregex_iterator it(all_.begin(), all_.end(), mark), end; it != end; ++it) {
      const auto from = static_cast<std::size_t>(it->position() + it->length());
      answers_.push_back(
          all_.substr(from, all_.find("\n@" + std::to_string(answers_.size() + 1), from) - from));
    }
  }
  /// Empty when gdb gave up before it.
  [[nodiscard]] std::string operator[](std::size_t command) const {
    EXPECT_LT(command, answers_.size()) << all_;
    return command < answers_.size() ? answers_[command] : std::string();
  }
  [[nodiscard]] const std::string& all() const { return all_; }

 private:
  std::string all_;
  std::vector<std::string> answers_;
};

/// What makes gdb's output fit for Answers, and its view fresh after each monitor command.
inline std::string gdb_preparation() {
  return "set pagination off\nset confirm off\nset width 0\n"
         "define hookpost-monitor\nmaintenance flush dcache\nmaintenance flush register-cache\nend\n";
}
/// A script that connects and runs these commands, for Answers.
inline std::string gdb_script(const std::string& target, const std::vector<std::string>& commands,
                              const std::string& before = {}) {
  std::string script = gdb_preparation() + before + "\ntarget remote " + target + "\n";
  std::size_t number = 0;
  for (const std::string& command : commands)
    script += fmt::format("echo \\n@{}@\\n\n{}\n", number++, command);
  return script + fmt::format("echo \\n@{}@\\n\n", number);
}

}  // namespace hindsight::tests
