@0xb242cb19171210af;
# The architectural state of one x86 CPU. Names follow the Intel SDM. Fields are only ever added.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("hindsight::traces::schema");

struct X86Segment {
  # A segment register with its hidden part (SDM volume 3, 3.4.3).
  selector @0 :UInt16;
  attributes @1 :UInt16;     # descriptor bits 40..55: type, S, DPL, P, AVL, L, D/B, G
  limit @2 :UInt32;          # in bytes
  base @3 :UInt64;
}

struct X86DescriptorTable {
  base @0 :UInt64;
  limit @1 :UInt32;
}

struct X86Xmm {
  low @0 :UInt64;
  high @1 :UInt64;
}

struct X86FloatRegister {
  # An x87 register: double extended precision.
  significand @0 :UInt64;
  signExponent @1 :UInt16;
}

struct CpuX86State {
  rax @0 :UInt64;
  rcx @1 :UInt64;
  rdx @2 :UInt64;
  rbx @3 :UInt64;
  rsp @4 :UInt64;
  rbp @5 :UInt64;
  rsi @6 :UInt64;
  rdi @7 :UInt64;
  r8 @8 :UInt64;
  r9 @9 :UInt64;
  r10 @10 :UInt64;
  r11 @11 :UInt64;
  r12 @12 :UInt64;
  r13 @13 :UInt64;
  r14 @14 :UInt64;
  r15 @15 :UInt64;
  rip @16 :UInt64;
  rflags @17 :UInt64;
  cpl @18 :UInt8;
  halted @19 :Bool;
  interruptShadow @20 :UInt8;  # 0 none, 1 after STI, 2 after MOV SS or POP SS
  nmiBlocked @21 :Bool;
  es @22 :X86Segment;
  cs @23 :X86Segment;
  ss @24 :X86Segment;
  ds @25 :X86Segment;
  fs @26 :X86Segment;
  gs @27 :X86Segment;
  ldtr @28 :X86Segment;
  tr @29 :X86Segment;
  gdtr @30 :X86DescriptorTable;
  idtr @31 :X86DescriptorTable;
  cr0 @32 :UInt64;
  cr2 @33 :UInt64;
  cr3 @34 :UInt64;
  cr4 @35 :UInt64;
  xcr0 @36 :UInt64;
  dr @37 :List(UInt64);      # 8: DR0..DR7
  fcw @38 :UInt16;
  fsw @39 :UInt16;           # TOP included
  ftw @40 :UInt8;            # abridged: bit i set, R<i> is not empty
  fop @41 :UInt16;
  fip @42 :UInt64;
  fdp @43 :UInt64;
  st @44 :List(X86FloatRegister);  # 8, physical: R0..R7
  mxcsr @45 :UInt32;
  xmm @46 :List(X86Xmm);     # 16
  efer @47 :UInt64;
  star @48 :UInt64;
  lstar @49 :UInt64;
  cstar @50 :UInt64;
  fmask @51 :UInt64;
  kernelGsBase @52 :UInt64;
  tscAux @53 :UInt64;
  sysenterCs @54 :UInt64;
  sysenterEsp @55 :UInt64;
  sysenterEip @56 :UInt64;
  pat @57 :UInt64;
  miscEnable @58 :UInt64;
  tscAdjust @59 :UInt64;     # the TSC is virtual time in nanoseconds plus this
  mtrrDefType @60 :UInt64;
  mtrrFixed @61 :List(UInt64);     # 11: 64K, 16K two, 4K eight
  mtrrPhysBase @62 :List(UInt64);  # 8
  mtrrPhysMask @63 :List(UInt64);  # 8
}
