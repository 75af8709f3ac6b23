#include "debugger/symbols/kernel_symbols.h"

#include "debugger/symbols/kallsyms.h"

namespace hindsight::debugger::symbols {

Result<KernelSymbols> KernelSymbols::find(const MemoryView& memory) {
  Result<Kallsyms> tables = Kallsyms::find(memory, kKernelRegion);
  if (!tables) return tables.failure();
  KernelSymbols symbols;
  Result<SymbolTable> table = tables->decode(kKernelRegion.end);
  if (!table) return table.failure();
  symbols.table_ = std::move(*table);
  symbols.image_ = kKernelRegion;  // what address_of may answer until it is known better
  const auto text = symbols.address_of("_text"), etext = symbols.address_of("_etext");
  if (!text || !etext || *etext <= *text) return error("kallsyms tables without _text and _etext");
  symbols.text_ = {*text, *etext};
  symbols.image_ = {*text, symbols.address_of("_end").value_or(*etext)};
  return symbols;
}

std::optional<GuestVirt> KernelSymbols::address_of(std::string_view name) const {
  for (const Symbol& symbol : find(name)) {
    if (!symbol.absolute && (image_.contains(symbol.address) || symbol.address == image_.end))
      return symbol.address;
  }
  return std::nullopt;
}

}  // namespace hindsight::debugger::symbols
