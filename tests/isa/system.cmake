# The system part of the x86 guest, over flat memory.
foreach(part paging exceptions transfer state)
  hindsight_test(system_${part}_test SOURCES system_${part}_test.cc DEPS engine_guest_x86)
endforeach()
hindsight_test(system_lift_test SOURCES system_lift_test.cc DEPS engine_guest_x86 engine_interp)
