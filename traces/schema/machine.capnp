@0xe11326b970f9a848;
# What a machine was built from. Everything a replay needs to build the same machine again.
#
# Stored enums are plain integers with their values named here, so that a reader can refuse a value it does
# not know instead of reading it as something else. Values are never renumbered, fields never removed.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("hindsight::traces::schema");

struct Piece {
  # A run of bytes in the table `blobs`, found by its hash.
  hashHigh @0 :UInt64;
  hashLow @1 :UInt64;
  size @2 :UInt32;
}

struct BlobRef {
  # A file's contents: its pieces, one after another.
  name @0 :Text;   # where it came from, for people only
  size @1 :UInt64; # the sum of the pieces' sizes
  pieces @2 :List(Piece);
}

const netNone :UInt16 = 0;
const netUser :UInt16 = 1;

struct MachineConfig {
  board @0 :Text;                    # "pc"
  ramBytes @1 :UInt64;
  cpuModel @2 :Text;                 # which CPU the guest saw
  cpuFeatures @3 :List(Text);        # what CPUID showed
  timeRate @4 :UInt64;             # virtual nanoseconds per instruction, times 2^16
  kernel @5 :BlobRef;
  initrd @6 :BlobRef;
  commandLine @7 :Text;
  diskBytes @8 :UInt64;              # 0: no disk. Its contents come with the reads that saw them.
  net @9 :UInt16;                    # netNone, netUser
  digestInterval @10 :UInt64;        # instructions between digest points, at least 1
  fullStateInterval @11 :UInt64;     # instructions between digest points that carry whole states
  channels @12 :List(UInt16);        # engine/port Channel values that were wired up
  build @13 :Text;                   # the program that recorded
  seed @14 :UInt64;                  # of whatever is drawn from a seed; 0 when nothing is
  hasConsole @15 :Bool;              # a virtio console is on the board
  hasEntropy @16 :Bool;              # a virtio entropy device is on the board
  quirks :group {
    # How the recording build behaved where later builds behave otherwise, so that they replay it the old
    # way. Every quirk is false in the build that introduces it as the new behaviour.
    reserved @17 :UInt64;
  }
}
