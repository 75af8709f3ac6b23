#include "debugger/cli/query_options.h"

namespace hindsight::debugger::cli {
namespace {

constexpr const char* kPlaces =
    "POS: as for --at. Addresses are translated at --at; last-write looks back from there.\n"
    "ADDR: 0xffffffff82a08080, a kernel symbol, SYMBOL+0x10, MODULE:SYMBOL, phys:0x1000;\n"
    "     with /LEN so many bytes, else 8 or what the symbol has. It is translated at --at and\n"
    "     watched where it lies in physical memory: writes through any other mapping count,\n"
    "     and so do devices' (DMA) and the CPU's own page-table updates.\n"
    "What `hindsight query --help` lists may stand here too.\n"
    "With --json each answer is one object on a line; debugger/query/QUERY.md lists the fields.\n";

}  // namespace

void add_query(CLI::App& command, QueryOptions& options) {
  command.require_subcommand(1);
  command.footer(kPlaces);
  command.add_option("--from", options.from, "look from this position on")
      ->type_name("POS")
      ->capture_default_str();
  command.add_option("--to", options.to, "and up to this one, exclusive")
      ->type_name("POS")
      ->capture_default_str();
  command.add_option("--limit", options.limit, "at most so many answers; 0: all")
      ->type_name("N")
      ->capture_default_str();
  command.add_flag("--json", options.json, "one JSON object a line");
  const auto add = [&](const char* name, const char* what) {
    auto* question = command.add_subcommand(name, what);
    question->footer(kPlaces);
    question->callback([&options, name] { options.question = name; });
    return question;
  };
  const auto add_subject = [&](CLI::App* question, const char* type, const char* what) {
    question->add_option("what", options.subject, what)->required()->type_name(type);
  };
  add_subject(add("last-write", "who wrote these bytes last before --at, and the call stack there"),
              "ADDR[/LEN]", "the bytes");
  add_subject(add("writes", "every write to these bytes"), "ADDR[/LEN]", "the bytes");
  add_subject(add("changes", "every time these bytes got another value, with the old and the new one"),
              "ADDR[/LEN]", "the bytes");
  auto* calls = add("calls", "every time this function was entered, from where and with which arguments");
  add_subject(calls, "FUNCTION", "a kernel symbol or an address of code");
  calls->add_flag("--returns", options.returns, "also when it returned, and what");
  auto* events = add("events", "what came in, went out and struck: inputs, outputs, exceptions, interrupts");
  events->add_option("--kind", options.kinds, "only these: input, sample, output, exception, interrupt")
      ->delimiter(',')
      ->check(CLI::IsMember({"input", "sample", "output", "exception", "interrupt"}));
  auto* profile = add("profile", "what ran: instructions and calls of each of the kernel's functions");
  profile->add_flag("--total", options.by_total, "sort by what a function and all it called ran");
  auto* tree = profile->add_flag("--tree", options.tree, "who called whom, the largest first");
  profile->add_option("--least", options.least_percent, "with --tree: leave out what ran less, in percent")
      ->check(CLI::Range(0.0, 100.0))
      ->capture_default_str()
      ->needs(tree);
  profile->add_flag("--folded", options.folded, "folded stacks, for drawing flame graphs")->excludes(tree);
}

}  // namespace hindsight::debugger::cli
