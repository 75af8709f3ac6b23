hindsight_test(mmu_test SOURCES engine/mmu_test.cc DEPS engine_mmu)
hindsight_test(mmu_spaces_test SOURCES engine/mmu_spaces_test.cc DEPS engine_mmu)
