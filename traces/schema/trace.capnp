@0xbd5cdb1e310b7f1a;
# The records of a trace. FORMAT.md beside this file says in which table and under which key each lies.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("hindsight::traces::schema");
using Machine = import "machine.capnp";

struct TraceHeader {
  magic @0 :Text;          # "hindsight trace"
  formatVersion @1 :UInt32;
  config @2 :Machine.MachineConfig;
  parent @3 :Parent;       # null: recorded from power-on. Set: format version 2.
  rerunOf @4 :Parent;      # the trace whose inputs this machine got, at the power-on. It changes no replay.
}

struct Parent {
  # The trace from which a branch went its own way, and where. The trace has a snapshot at that position, from
  # which it replays; of what came before it holds only what the machine asked for while it was built.
  headerHigh @0 :UInt64;   # XXH3-128 of the parent's header as it decodes, and of its first event chunk
  headerLow @1 :UInt64;
  name @2 :Text;           # the parent's file name, for people only
  icount @3 :UInt64;
  delivery @4 :UInt32;     # exceptions and interrupts delivered at this icount
  time @5 :UInt64;         # virtual nanoseconds
}

struct Progress {
  # Written with every commit: all that happened before this instant is in the trace. What the outside
  # delivered at the instant itself may not be.
  icount @0 :UInt64;
  time @1 :UInt64;         # virtual nanoseconds
  chunks @2 :UInt64;       # how many event chunks there are
  digests @3 :UInt64;      # how many digest records there are
  events @4 :UInt64;       # how many events all chunks hold
}

const stopReached :UInt16 = 0;      # the limit the user set
const stopPowerOff :UInt16 = 1;
const stopReset :UInt16 = 2;
const stopTripleFault :UInt16 = 3;
const stopIdleForever :UInt16 = 4;
const stopInterrupted :UInt16 = 5;  # the user

struct Footprint {
  # What the machine touched between two positions: sets as in FORMAT.md.
  fromIcount @0 :UInt64;
  fromDelivery @1 :UInt32;
  toIcount @2 :UInt64;
  toDelivery @3 :UInt32;
  ramWritten @4 :Data;     # physical pages, whoever wrote
  written @5 :Data;        # linear pages that instructions wrote to
  pagesExecuted @6 :Data;  # older programs wrote this instead of executed; not read
  executed @7 :Data;       # linear lines in which an instruction began
  lineBits @8 :UInt8 = 6;  # of 2^lineBits bytes
}

struct End {
  # The last record of a trace that was closed in order.
  icount @0 :UInt64;
  time @1 :UInt64;
  reason @2 :UInt16;
  footprints @3 :List(Footprint);  # since the last snapshot, in order
}

const eventInput :UInt16 = 1;
const eventSample :UInt16 = 2;

struct Event {
  # Something that crossed the border inwards. Events are in the order in which they happened.
  icount @0 :UInt64;
  time @1 :UInt64;         # icount stands still while every CPU is halted, so both are needed
  kind @2 :UInt16;
  channel @3 :UInt16;
  size @4 :UInt32;         # of the payload
  argument @5 :UInt64;     # samples: what was asked for (disk: the sector)
  payload @6 :Data;        # either this holds `size` bytes,
  pieces @7 :List(Machine.Piece);  # or these do, together
}

struct OutputRun {
  # What a channel sent out during a chunk, to be compared in replay.
  channel @0 :UInt16;
  firstByte @1 :UInt64;    # position in the channel's whole output
  firstUnit @2 :UInt64;    # how many output calls came before
  bytes @3 :Data;          # byte channels: all that was sent
  units @4 :List(UInt32);  # other channels, for each unit: its size, then one hash for each 512 bytes begun
}

struct EventChunk {
  number @0 :UInt64;       # counts from 0 without a gap
  firstEvent @1 :UInt64;   # how many events came before
  events @2 :List(Event);
  outputs @3 :List(OutputRun);
}

struct PartDigest {
  name @0 :Text;           # the part's state name
  hash @1 :UInt64;         # XXH3-64 of the state struct's canonical encoding
  state @2 :Data;          # the canonical encoding itself, at full points only
}

struct ChannelDigest {
  channel @0 :UInt16;
  bytes @1 :UInt64;
  units @2 :UInt64;
  hashHigh @3 :UInt64;     # XXH3-128 of all bytes sent so far
  hashLow @4 :UInt64;
}

struct Digest {
  icount @0 :UInt64;
  time @1 :UInt64;
  parts @2 :List(PartDigest);
  ram @3 :UInt64;          # sum over all pages of XXH3-64(page, seed = its index)
  channels @4 :List(ChannelDigest);
  full @5 :Bool;           # the parts carry their states
  pageShift @6 :UInt8;     # pages are grouped by index >> pageShift
  pageGroups @7 :List(UInt32);  # groups written since the digest before, ascending
  pageHashes @8 :List(UInt16);  # for each: the low bits of the sum of its pages' hashes
}

struct ChannelPosition {
  # How much a channel had sent.
  channel @0 :UInt16;
  bytes @1 :UInt64;
  units @2 :UInt64;
}

struct PartState {
  name @0 :Text;           # the part's state name
  size @1 :UInt64;         # of the state struct's canonical encoding, a multiple of 8
  state @2 :Data;          # either this holds it,
  pieces @3 :List(Machine.Piece);  # or these do, together
}

const pageZero :UInt16 = 0;
const pageStored :UInt16 = 1;   # in the table `pages`
const pageBase :UInt16 = 2;     # as a page of the machine at power-on

struct PageRun {
  # What `count` pages of RAM hold, beginning with page `first`.
  first @0 :UInt64;
  count @1 :UInt32;
  kind @2 :UInt16;
  from @3 :UInt64;         # the first one's number (stored) or RAM page (base); the others follow it
}

struct PageRegion {
  # The pages of a region of RAM that are not what they were at power-on, in ascending order.
  runs @0 :List(PageRun);
}

struct Snapshot {
  # The whole machine at one position. Each region of RAM is 4096 pages; a piece of size 0 stands for one that
  # is as it was at power-on, any other holds a PageRegion.
  icount @0 :UInt64;
  delivery @1 :UInt32;     # exceptions and interrupts delivered at this icount
  time @2 :UInt64;
  event @3 :UInt64;        # how many events came before
  chunk @4 :UInt64;        # no earlier event chunk is needed from here on
  channels @5 :List(ChannelPosition);
  parts @6 :List(PartState);
  ramPages @7 :UInt64;
  baseHigh @8 :UInt64;     # XXH3-128 of RAM at power-on: of (index, hash high, hash low) of every page that
  baseLow @9 :UInt64;      # is not all zeros, as 64-bit little-endian numbers
  regions @10 :List(Machine.Piece);
  footprints @11 :List(Footprint);  # since the snapshot before, in order; there may be none
}

struct PageHashes {
  hashes @0 :List(UInt64); # XXH3-128 of each page of the bundle: high, low
}

struct Mark {
  # A place that the user named.
  name @0 :Text;
  note @1 :Text;
  icount @2 :UInt64;
  delivery @3 :UInt32;
}
