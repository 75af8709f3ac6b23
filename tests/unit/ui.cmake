# The window without a display: its view-models over the session of tests/support, its frames without a screen.
hindsight_test(ui_models_test SOURCES debugger/ui_activity_index_test.cc debugger/ui_console_text_test.cc
  debugger/ui_happening_words_test.cc debugger/ui_inquiries_test.cc
  debugger/ui_layout_test.cc debugger/ui_worker_test.cc DEPS debugger_ui tests_debugger_support)
hindsight_test(ui_frame_test SOURCES debugger/ui_frame_test.cc DEPS debugger_ui tests_debugger_support)
hindsight_test(ui_window_test SOURCES debugger/ui_window_test.cc DEPS debugger_ui tests_debugger_support)
# All of the window's threads over a recording.
hindsight_test(ui_threads_test SOURCES debugger/ui_threads_test.cc DEPS debugger_cli debugger_ui)
target_compile_definitions(ui_threads_test PRIVATE HINDSIGHT_GOLDEN="${PROJECT_SOURCE_DIR}/tests/golden")
