#include "debugger/ui/flag_names_table.h"

namespace hindsight::debugger::ui {
namespace {

constexpr FlagName kRflags[] = {{21, 1, "ID", "CPUID may be used"},
                                {20, 1, "VIP", "virtual interrupt pending"},
                                {19, 1, "VIF", "virtual interrupt"},
                                {18, 1, "AC", "alignment check, access control"},
                                {17, 1, "VM", "virtual-8086 mode"},
                                {16, 1, "RF", "resume"},
                                {14, 1, "NT", "nested task"},
                                {12, 2, "IOPL", "I/O privilege level"},
                                {11, 1, "OF", "overflow"},
                                {10, 1, "DF", "direction"},
                                {9, 1, "IF", "interrupts enabled"},
                                {8, 1, "TF", "trap"},
                                {7, 1, "SF", "sign"},
                                {6, 1, "ZF", "zero"},
                                {4, 1, "AF", "auxiliary carry"},
                                {2, 1, "PF", "parity"},
                                {0, 1, "CF", "carry"}};
constexpr FlagName kCr0[] = {{31, 1, "PG", "paging"},
                             {30, 1, "CD", "cache disable"},
                             {29, 1, "NW", "not write-through"},
                             {18, 1, "AM", "alignment mask"},
                             {16, 1, "WP", "write protect"},
                             {5, 1, "NE", "numeric error"},
                             {4, 1, "ET", "extension type"},
                             {3, 1, "TS", "task switched"},
                             {2, 1, "EM", "emulation"},
                             {1, 1, "MP", "monitor coprocessor"},
                             {0, 1, "PE", "protection enable"}};
constexpr FlagName kCr4[] = {{21, 1, "SMAP", "supervisor-mode access prevention"},
                             {20, 1, "SMEP", "supervisor-mode execution prevention"},
                             {18, 1, "OSXSAVE", "XSAVE enabled"},
                             {17, 1, "PCIDE", "process-context identifiers"},
                             {16, 1, "FSGSBASE", "RDFSBASE and its like"},
                             {12, 1, "LA57", "five-level paging"},
                             {11, 1, "UMIP", "user-mode instruction prevention"},
                             {10, 1, "OSXMMEXCPT", "SIMD exceptions"},
                             {9, 1, "OSFXSR", "FXSAVE and SSE"},
                             {8, 1, "PCE", "RDPMC for users"},
                             {7, 1, "PGE", "global pages"},
                             {6, 1, "MCE", "machine check"},
                             {5, 1, "PAE", "physical address extension"},
                             {4, 1, "PSE", "page size extension"},
                             {3, 1, "DE", "debugging extensions"},
                             {2, 1, "TSD", "time stamp disable"},
                             {1, 1, "PVI", "protected-mode virtual interrupts"},
                             {0, 1, "VME", "virtual-8086 extensions"}};
constexpr FlagName kEfer[] = {{11, 1, "NXE", "execute disable"},
                              {10, 1, "LMA", "IA-32e mode active"},
                              {8, 1, "LME", "IA-32e mode enable"},
                              {0, 1, "SCE", "SYSCALL enable"}};
constexpr FlagName kMxcsr[] = {
    {15, 1, "FZ", "flush to zero"},  {13, 2, "RC", "rounding"},      {12, 1, "PM", "precision mask"},
    {11, 1, "UM", "underflow mask"}, {10, 1, "OM", "overflow mask"}, {9, 1, "ZM", "divide-by-zero mask"},
    {8, 1, "DM", "denormal mask"},   {7, 1, "IM", "invalid mask"},   {6, 1, "DAZ", "denormals are zero"},
    {5, 1, "PE", "precision"},       {4, 1, "UE", "underflow"},      {3, 1, "OE", "overflow"},
    {2, 1, "ZE", "divide by zero"},  {1, 1, "DE", "denormal"},       {0, 1, "IE", "invalid"}};
constexpr FlagName kDr6[] = {
    {15, 1, "BT", "task switch"}, {14, 1, "BS", "single step"}, {13, 1, "BD", "debug register access"},
    {3, 1, "B3", "breakpoint 3"}, {2, 1, "B2", "breakpoint 2"}, {1, 1, "B1", "breakpoint 1"},
    {0, 1, "B0", "breakpoint 0"}};
constexpr FlagName kDr7[] = {{13, 1, "GD", "general detect"},     {9, 1, "GE", "exact, global"},
                             {8, 1, "LE", "exact, local"},        {7, 1, "G3", "breakpoint 3, global"},
                             {6, 1, "L3", "breakpoint 3, local"}, {5, 1, "G2", "breakpoint 2, global"},
                             {4, 1, "L2", "breakpoint 2, local"}, {3, 1, "G1", "breakpoint 1, global"},
                             {2, 1, "L1", "breakpoint 1, local"}, {1, 1, "G0", "breakpoint 0, global"},
                             {0, 1, "L0", "breakpoint 0, local"}};

struct Row {
  std::string_view name;
  std::span<const FlagName> flags;
};
constexpr Row kRows[] = {{"rflags", kRflags}, {"cr0", kCr0}, {"cr4", kCr4}, {"efer", kEfer},
                         {"mxcsr", kMxcsr},   {"dr6", kDr6}, {"dr7", kDr7}};

}  // namespace

std::span<const FlagName> flags_of(std::string_view register_name) {
  for (const Row& row : kRows)
    if (row.name == register_name) return row.flags;
  return {};
}

}  // namespace hindsight::debugger::ui
