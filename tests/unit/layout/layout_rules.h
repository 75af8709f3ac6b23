// The rules of the house (who may include whom, what may lie where, how long a file may be) as functions over
// text, so that a test can put a violation before them. Stateless; any thread. Reads files, nothing else.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace hindsight::tests::layout {

/// One breach of a rule: where it is and what it breaks.
struct Violation {
  std::string file;
  int line;
  std::string what;
};

/// Checks one source file. `path` is relative to the root of the tree, with '/' between its parts.
std::vector<Violation> check_file(std::string_view path, std::string_view text);

/// The id that opens the text of a schema file, "@0x…"; empty if it has none.
std::string_view schema_id(std::string_view text);

/// Checks the names at the top of the tree.
std::vector<Violation> check_top_level(const std::vector<std::string>& names);

/// Checks a whole tree: its top level, every source file in it, and that no two schema files share an id.
std::vector<Violation> check_tree(const std::filesystem::path& root);

/// Checks that each row of the first table in replay/DETERMINISM.md names tests, and that there are such
/// tests.
std::vector<Violation> check_sources_of_chance(const std::filesystem::path& root);

/// How many source files check_tree reads under `root`.
std::size_t count_sources(const std::filesystem::path& root);

}  // namespace hindsight::tests::layout
