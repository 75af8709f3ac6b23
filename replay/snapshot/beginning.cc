#include "replay/snapshot/beginning.h"

#include "replay/snapshot/archive.h"
#include "replay/snapshot/snapshot.h"

namespace hindsight::replay::snapshot {

Status go_to_beginning(engine::port::Machine& machine, play::Player& player,
                       const traces::store::TraceReader& trace) {
  if (!trace.config().parent) return Done{};
  Snapshotter snapshotter(machine);
  const auto archive = Archive::open(trace.path(), snapshotter.take(player.position()));
  if (!archive) return archive.failure();
  const traces::store::Place first = trace.first();
  const auto snapshot = (*archive)->load({first.icount, first.delivery});
  if (!snapshot) return snapshot.failure();
  if (const Status restored = snapshotter.restore(*snapshot); !restored)
    return error("{}: {}", trace.path(), restored.failure().message);
  player.seek((*snapshot)->border);
  return Done{};
}

}  // namespace hindsight::replay::snapshot
