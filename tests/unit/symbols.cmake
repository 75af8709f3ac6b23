# What the debugger knows of a guest kernel.
hindsight_test(symbols_test
  SOURCES symbols/kernel_symbols_test.cc symbols/guest_kernel_test.cc symbols/page_table_view_test.cc
  DEPS debugger_symbols support_symbols)
