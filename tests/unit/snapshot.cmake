# Snapshots of a machine, the ladder that holds them, and how a trace keeps them.
hindsight_test(snapshot_test SOURCES replay/snapshot_test.cc replay/ladder_test.cc DEPS replay_snapshot)
