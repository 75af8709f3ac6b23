# Keys and a mouse for tests of the window; what needs them skips where there is no libXtst.
if(xtst_FOUND)
  hindsight_module(tests_x_screen SOURCES x_screen.cc DEPS fmt::fmt PkgConfig::xtst)
endif()
