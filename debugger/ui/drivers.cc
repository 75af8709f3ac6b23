// What the sanitizers are to know of the drivers of X and OpenGL, in every program that shows the window;
// they look these functions up by name. Part of builds with a sanitizer alone.
#include <dlfcn.h>

extern "C" {

// A driver that is unloaded takes along the variables that hold its memory, and its name: what it keeps until
// the process ends would be a leak of nobody known. So all stay loaded.
int dlclose(void*) noexcept { return 0; }

// By the module's name alone: nothing of ours hides behind it.
const char* __lsan_default_suppressions();
const char* __lsan_default_suppressions() { return "leak:libdbus-1.so\n"; }

// Up to GCC 13 the run-time takes what lies before a module's thread-local storage, where that is 16 bytes
// into a page, for a header that glibc has not written since 2.25, and LeakSanitizer crashes on it.
const char* __lsan_default_options();
const char* __lsan_default_options() { return "intercept_tls_get_addr=0:print_suppressions=0"; }

// In the driver that draws in software it is not seen how its threads let go of a fence that another frees.
const char* __tsan_default_suppressions();
const char* __tsan_default_suppressions() { return "race:swrast_dri.so\n"; }

const char* __tsan_default_options();
const char* __tsan_default_options() { return "print_suppressions=0"; }

}  // extern "C"
