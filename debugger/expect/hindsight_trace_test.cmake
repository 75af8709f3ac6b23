# Recorded traces as tests of CTest, in any project (REGRESSION.md says more):
#
#   include(hindsight_trace_test.cmake)
#   hindsight_add_trace_test(Boot.first traces/boot.trace EXPECT traces/boot.trace.expect TIME_LIMIT 60)
#
# hindsight_add_trace_test(NAME TRACE [EXPECT FACTS] [ENGINE ENGINE] [TIME_LIMIT SECONDS] [LABELS LABEL...])
#   NAME        of the test, which verifies TRACE
#   EXPECT      a file of facts; the test NAME.expect checks them
#   ENGINE      as of `hindsight verify --engine`
#   TIME_LIMIT  for the verification, 120 s by default
#
# The program is the target `hindsight` where there is one, else HINDSIGHT_EXECUTABLE, which is looked for in PATH.
if(NOT TARGET hindsight)
  find_program(HINDSIGHT_EXECUTABLE hindsight REQUIRED)
endif()

function(hindsight_add_trace_test name trace)
  cmake_parse_arguments(T "" "EXPECT;ENGINE;TIME_LIMIT" "LABELS" ${ARGN})
  if(T_UNPARSED_ARGUMENTS OR T_KEYWORDS_MISSING_VALUES)
    message(FATAL_ERROR "hindsight_add_trace_test(${name}): EXPECT FACTS, ENGINE ENGINE, TIME_LIMIT SECONDS and "
      "LABELS LABEL... expected, found: ${ARGN}")
  endif()
  if(NOT T_TIME_LIMIT)
    set(T_TIME_LIMIT 120)
  endif()
  set(program hindsight)
  if(NOT TARGET hindsight)
    set(program ${HINDSIGHT_EXECUTABLE})
  endif()
  set(engine)
  if(T_ENGINE)
    set(engine --engine ${T_ENGINE})
  endif()
  get_filename_component(trace ${trace} ABSOLUTE)
  add_test(NAME ${name} COMMAND ${program} verify ${engine} --time-limit ${T_TIME_LIMIT} ${trace})
  set(tests ${name})
  if(T_EXPECT)
    get_filename_component(facts ${T_EXPECT} ABSOLUTE)
    add_test(NAME ${name}.expect COMMAND ${program} expect ${engine} ${trace} ${facts})
    list(APPEND tests ${name}.expect)
  endif()
  # Beyond the limit of its own, which says how far it came.
  math(EXPR timeout "${T_TIME_LIMIT} + 60")
  set_tests_properties(${tests} PROPERTIES TIMEOUT ${timeout} LABELS "${T_LABELS}")
endfunction()
