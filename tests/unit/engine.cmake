hindsight_test(mmu_test SOURCES engine/mmu_test.cc DEPS engine_mmu)
