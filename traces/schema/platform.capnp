@0xb0072d25a1a4d684;
# States of the PC's platform devices. Names follow the datasheets. Fields are only ever added.
# Times are virtual nanoseconds since power-on unless said otherwise.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("hindsight::traces::schema");

struct Pic8259State {
  # Intel 8259A and the ELCR of the chip sets around it.
  irr @0 :UInt8;
  isr @1 :UInt8;
  imr @2 :UInt8;
  lines @3 :UInt8;           # present input levels
  elcr @4 :UInt8;            # 1: level-triggered
  icw1 @5 :UInt8;
  icw2 @6 :UInt8;
  icw3 @7 :UInt8;
  icw4 @8 :UInt8;
  initStep @9 :UInt8;        # 0: operating; 2, 3, 4: the ICW expected next
  lowestPriority @10 :UInt8; # the level that has the lowest priority (7 after ICW1)
  readIsr @11 :Bool;         # OCW3.RIS
  poll @12 :Bool;            # OCW3.P: the next read is a poll
  specialMask @13 :Bool;     # OCW3.SMM
  rotateOnAutoEoi @14 :Bool;
}

struct PicPairState {
  master @0 :Pic8259State;
  slave @1 :Pic8259State;
}

struct LocalApicState {
  # Intel SDM volume 3, chapter 11 (xAPIC).
  apicBase @0 :UInt64;       # IA32_APIC_BASE
  id @1 :UInt32;
  tpr @2 :UInt32;
  ldr @3 :UInt32;
  dfr @4 :UInt32;
  svr @5 :UInt32;
  isr @6 :List(UInt32);      # 8 words
  tmr @7 :List(UInt32);
  irr @8 :List(UInt32);
  esr @9 :UInt32;            # as read
  esrPending @10 :UInt32;    # gathered since the last write to ESR
  icrLow @11 :UInt32;
  icrHigh @12 :UInt32;
  lvtTimer @13 :UInt32;
  lvtThermal @14 :UInt32;
  lvtPerf @15 :UInt32;
  lvtLint0 @16 :UInt32;
  lvtLint1 @17 :UInt32;
  lvtError @18 :UInt32;
  divideConfiguration @19 :UInt32;
  initialCount @20 :UInt32;
  timerStart @21 :UInt64;    # when initialCount was loaded
  timerExpiries @22 :UInt64; # periods (or the one shot) already signalled since timerStart
  tscDeadline @23 :UInt64;   # 0: not armed
  lint0 @24 :Bool;           # input level
}

struct IoApicState {
  # Intel 82093AA, with the EOI register of later ones (version 20h).
  id @0 :UInt32;
  ioregsel @1 :UInt32;
  redirection @2 :List(UInt64);  # 24 entries
  lines @3 :UInt32;              # present input levels
}

struct IrqRouterState {
  lines @0 :UInt32;          # levels by global system interrupt
  legacyReplacement @1 :Bool;
  pit @2 :Bool;              # levels of the sources that share inputs 0 and 8
  rtc @3 :Bool;
  hpet0 @4 :Bool;
  hpet1 @5 :Bool;
}

struct Pit8254ChannelState {
  mode @0 :UInt8;            # 0..5
  bcd @1 :Bool;
  access @2 :UInt8;          # control word RW: 1 LSB, 2 MSB, 3 LSB then MSB
  count @3 :UInt32;          # the count in force, 1..65536
  running @4 :Bool;          # a count was loaded (and, in modes 1 and 5, triggered)
  startTick @5 :UInt64;      # clock of 1193182 Hz since power-on at which counting began
  pausedAt @6 :UInt64;       # elapsed clocks when GATE went low (modes 0, 2, 3, 4)
  gate @7 :Bool;
  nullCount @8 :Bool;        # written but not yet loaded (modes 1 and 5 before a trigger)
  writeLow @9 :UInt8;
  writeHighNext @10 :Bool;
  readHighNext @11 :Bool;
  countLatched @12 :Bool;
  latchedCount @13 :UInt16;
  statusLatched @14 :Bool;
  latchedStatus @15 :UInt8;
}

struct Pit8254State {
  channels @0 :List(Pit8254ChannelState);
  portB @1 :UInt8;           # system control port B (61h), bits 0 to 3
}

struct HpetTimerState {
  configuration @0 :UInt64;
  comparator @1 :UInt64;
  period @2 :UInt64;
  fsbRoute @3 :UInt64;
}

struct HpetState {
  # IA-PC HPET specification 1.0a.
  configuration @0 :UInt64;
  interruptStatus @1 :UInt64;
  mainCounter @2 :UInt64;    # value at startTime while enabled, else the value
  startTime @3 :UInt64;
  timers @4 :List(HpetTimerState);
}

struct RtcState {
  # Motorola MC146818A with 128 bytes.
  index @0 :UInt8;
  nvram @1 :Data;            # 128 bytes; the time bytes are current only while SET is on
  epochOffset @2 :Int64;     # nanoseconds since 1970 of the clock at virtual time 0
  flags @3 :UInt8;           # register C as gathered at lastSync
  lastSync @4 :UInt64;
}

struct AcpiPmState {
  # ACPI 6.4, chapter 4.8.
  pm1Status @0 :UInt16;
  pm1Enable @1 :UInt16;
  pm1Control @2 :UInt16;
  lastSync @3 :UInt64;       # TMR_STS is gathered up to here
  resetControl @4 :UInt8;    # CF9h
}

struct I8042State {
  command @0 :UInt8;         # the controller command byte
  output @1 :UInt8;
  outputFull @2 :Bool;
  outputFromAux @3 :Bool;
  timeout @4 :Bool;
  lastWasCommand @5 :Bool;
  pendingCommand @6 :UInt8;  # a command that waits for its data byte, or 0
  outputPort @7 :UInt8;
  ram @8 :Data;              # 32 bytes
}

struct Uart16550State {
  # National Semiconductor PC16550D.
  ier @0 :UInt8;
  fcr @1 :UInt8;
  lcr @2 :UInt8;
  mcr @3 :UInt8;
  lsrErrors @4 :UInt8;       # OE, PE, FE, BI until LSR is read
  msrDeltas @5 :UInt8;
  scr @6 :UInt8;
  divisor @7 :UInt16;
  thrEmptyPending @8 :Bool;  # the THRE interrupt's own latch
  timeoutPending @9 :Bool;   # character timeout
  timeoutDeadline @10 :UInt64; # 0: not armed
  receive @11 :Data;         # RBR or receiver FIFO, oldest first
  backlog @12 :Data;         # arrived on the line, held off by flow control
}
