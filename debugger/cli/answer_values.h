// What queries find, as the plain values of session/analyst.h. Free functions; the thread of the queries.
#pragma once

#include "debugger/query/call_tree.h"
#include "debugger/query/queries.h"
#include "debugger/session/analyst.h"

namespace hindsight::debugger::cli {

Result<session::Answers> answers(query::Queries& queries, const session::Inquiry& inquiry);
/// Branches of at least a thousandth of all instructions.
[[nodiscard]] session::Profile profile_values(const query::Queries& queries, const query::CallTree& tree);

}  // namespace hindsight::debugger::cli
