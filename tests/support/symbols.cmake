# A guest kernel's tables, made by hand.
add_library(support_symbols STATIC kallsyms_image.cc tiny_kernel.cc)
target_link_libraries(support_symbols PUBLIC hindsight_flags debugger_symbols)
