hindsight_module(tests_program_session SOURCES program_session.cc
  DEPS tests_bare_machine engine_port PkgConfig::libelf)

# One compiler, whatever builds the rest: optimizers differ in what they keep.
find_program(HINDSIGHT_GUEST_CC gcc REQUIRED)

# hindsight_guest_program(NAME SOURCE FLAG...): SOURCE, freestanding C, as an ELF program with debug
# information for support::BareMachine, NAME.elf in the current binary folder; the target is NAME_program.
function(hindsight_guest_program name source)
  set(out ${CMAKE_CURRENT_BINARY_DIR}/${name}.elf)
  add_custom_command(OUTPUT ${out} DEPENDS ${source}
    COMMAND ${HINDSIGHT_GUEST_CC} -std=gnu11 -g ${ARGN} -ffreestanding -nostdlib -static -fno-pic -no-pie
      -mno-red-zone -fno-stack-protector -fcf-protection=none -Wl,-Ttext-segment=0x100000 -Wl,--build-id=none
      -Wl,-z,norelro -ffile-prefix-map=${PROJECT_SOURCE_DIR}/= ${source} -o ${out} VERBATIM)
  add_custom_target(${name}_program DEPENDS ${out})
endfunction()
