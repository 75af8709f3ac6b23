// The first difference between a digest of a trace and one of the machine that replays it, named down to the
// field, the page group or the output channel where the trace holds enough to tell.
// Free functions; the run loop's thread, between run() calls. States in a trace are untrusted bytes.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "engine/port/machine.h"
#include "replay/play/divergence.h"
#include "replay/record/state_digest.h"
#include "traces/store/records.h"

namespace hindsight::replay::play {

/// Compares `expected`, from the trace, with `got`, which `digester` just took of `machine`.
[[nodiscard]] std::optional<Divergence> compare(const traces::store::Digest& expected,
                                                const traces::store::Digest& got,
                                                const engine::port::Machine& machine,
                                                const record::StateDigester& digester);

}  // namespace hindsight::replay::play
