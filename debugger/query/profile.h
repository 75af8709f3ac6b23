// What ran in a stretch of history: instructions and calls of each function, and who called whom. Pieces of
// the stretch are counted side by side and put together in time's order. Free functions over a timeline;
// the timeline's thread. The answer depends on the trace and the stretch alone.
#pragma once

#include <string>

#include "debugger/query/call_tree.h"
#include "debugger/query/queries.h"

namespace hindsight::debugger::query {

/// Counts every instruction in [from, to). `queries` knows the kernel's names; without a kernel all that is
/// not user space is one function.
Result<CallTree> profile(Queries& queries, Stretch within);
/// "vfs_write", "(user)", "(no symbol)".
[[nodiscard]] std::string function_name(const Queries& queries, Function function);
/// As flame graphs are drawn from: "outer;inner;innermost COUNT" for each place with instructions of its own.
[[nodiscard]] std::string folded(const Queries& queries, const CallTree& tree);

}  // namespace hindsight::debugger::query
