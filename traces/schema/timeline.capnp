@0xa797ad568f8ccc9f;
# Virtual time of the whole machine (engine/exec). Fields are only ever added.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("hindsight::traces::schema");

struct TimelineState {
  icount @0 :UInt64;     # guest instructions retired since power-on
  timeRate @1 :UInt64;   # virtual nanoseconds per instruction, times 2^16
  timeWarp @2 :UInt64;   # virtual nanoseconds skipped while idle
}
