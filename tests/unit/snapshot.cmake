# Snapshots of a machine, the ladder that holds them, and how a trace keeps them.
hindsight_test(snapshot_test SOURCES replay/archive_test.cc replay/snapshot_test.cc replay/ladder_test.cc DEPS replay_snapshot)
hindsight_test(snapshot_store_test SOURCES traces/snapshot_store_test.cc DEPS traces_store)
hindsight_test(scan_test SOURCES replay/scan_test.cc DEPS replay_timeline)
