// A profile as a table of functions or as a tree of calls; debugger/query/QUERY.md lists the fields of JSON.
// Pure functions; any thread.
#pragma once

#include <cstdint>
#include <string>

#include "debugger/query/profile.h"

namespace hindsight::debugger::cli {

/// The first `limit` functions (0: all), by their own instructions or by the total.
[[nodiscard]] std::string profile_table(const query::Queries& queries, const query::CallTree& tree,
                                        bool by_total, std::uint64_t limit, bool json);
/// Every place that had at least this share of the instructions, callers before what they called.
[[nodiscard]] std::string profile_tree(const query::Queries& queries, const query::CallTree& tree,
                                       double least_percent, bool json);

}  // namespace hindsight::debugger::cli
