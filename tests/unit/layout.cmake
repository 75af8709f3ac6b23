# Checks the tree itself: who includes whom, what lies where, how long files are.
hindsight_test(layout_test SOURCES layout/layout_rules.cc layout/layout_test.cc)
target_compile_definitions(layout_test PRIVATE HINDSIGHT_ROOT="${CMAKE_SOURCE_DIR}")
