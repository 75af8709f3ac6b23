#include "debugger/symbols/tasks.h"

#include <algorithm>
#include <set>

namespace hindsight::debugger::symbols {
namespace {

constexpr std::size_t kMostTasks = 1 << 17;  // links followed, each at most one task
constexpr std::size_t kNameSize = 16;        // TASK_COMM_LEN

// TASK_* of include/linux/sched.h.
constexpr std::uint32_t kInterruptible = 1, kUninterruptible = 2, kStopped = 4, kTraced = 8, kNoLoad = 0x400;

/// What a task that was switched away has on its stack (struct inactive_task_frame of 64-bit x86).
struct Inactive {
  std::uint64_t r15, r14, r13, r12, rbx, rbp, rip;
};

}  // namespace

char Task::state_letter() const {
  if (state == 0) return 'R';
  if ((state & (kUninterruptible | kNoLoad)) == (kUninterruptible | kNoLoad)) return 'I';
  if ((state & kUninterruptible) != 0) return 'D';
  if ((state & kInterruptible) != 0) return 'S';
  if ((state & kStopped) != 0) return 'T';
  return (state & kTraced) != 0 ? 't' : '?';
}

Result<TaskReader> TaskReader::create(const Btf& btf, const KernelSymbols& kernel) {
  TaskReader reader;
  const auto init_task = kernel.address_of("init_task");
  if (!init_task) return error("the kernel has no symbol init_task");
  reader.init_task_ = *init_task;
  struct Wanted {
    std::string_view structure, member, older;
    std::uint64_t TaskReader::*at;
  };
  const std::array<Wanted, 10> wanted{{{"task_struct", "tasks", "", &TaskReader::tasks_},
                                       {"task_struct", "pid", "", &TaskReader::pid_},
                                       {"task_struct", "tgid", "", &TaskReader::tgid_},
                                       {"task_struct", "comm", "", &TaskReader::comm_},
                                       {"task_struct", "__state", "state", &TaskReader::state_},
                                       {"task_struct", "mm", "", &TaskReader::mm_},
                                       {"task_struct", "thread.sp", "", &TaskReader::sp_},
                                       {"task_struct", "signal", "", &TaskReader::signal_},
                                       {"signal_struct", "thread_head", "", &TaskReader::thread_head_},
                                       {"task_struct", "thread_node", "", &TaskReader::thread_node_}}};
  for (const Wanted& each : wanted) {
    auto offset = btf.offset(each.structure, each.member);
    if (!offset && !each.older.empty()) offset = btf.offset(each.structure, each.older);
    if (!offset) return error("the kernel's BTF has no {}.{}", each.structure, each.member);
    reader.*each.at = *offset;
  }
  reader.on_cpu_ = btf.offset("task_struct", "on_cpu");
  return reader;
}

std::optional<Task> TaskReader::task_at(const MemoryView& memory, GuestVirt address) const {
  Task task;
  const auto pid = load<std::uint32_t>(memory, address + pid_);
  const auto tgid = load<std::uint32_t>(memory, address + tgid_);
  const auto state = load<std::uint32_t>(memory, address + state_);
  const auto on_cpu = on_cpu_ ? load<std::uint32_t>(memory, address + *on_cpu_) : 0;
  const auto mm = load<std::uint64_t>(memory, address + mm_);
  const auto name = load_text(memory, address + comm_, kNameSize);
  const auto sp = load<std::uint64_t>(memory, address + sp_);
  if (!pid || !tgid || !state || !on_cpu || !mm || !name || !sp) return std::nullopt;
  task = {address, *pid, *tgid, *name, *state, *on_cpu != 0, *mm == 0, std::nullopt};
  if (task.on_cpu) return task;
  if (const auto frame = load<Inactive>(memory, GuestVirt{*sp})) {
    Registers& saved = task.saved.emplace();
    saved.general = {
        0,          0,          0,          frame->rbx, *sp + sizeof(Inactive), frame->rbp, 0, 0, 0, 0, 0, 0,
        frame->r12, frame->r13, frame->r14, frame->r15};
    saved.rip = frame->rip;
  }
  return task;
}

std::vector<Task> TaskReader::read(const MemoryView& memory) const {
  std::vector<Task> tasks;
  std::set<GuestVirt> seen;  // threads change hands while lists are walked in the middle of an update
  const auto add = [&](GuestVirt address) {
    if (!kKernelHalf.contains(address) || !seen.insert(address).second) return;
    if (auto task = task_at(memory, address)) tasks.push_back(std::move(*task));
  };
  const auto follow = [&](GuestVirt link) {
    return GuestVirt{load<std::uint64_t>(memory, link).value_or(0)};
  };
  GuestVirt leader = init_task_;
  for (std::size_t steps = 0; steps < kMostTasks && kKernelHalf.contains(leader); ++steps) {
    add(leader);
    const GuestVirt head = follow(leader + signal_) + thread_head_;
    GuestVirt node = follow(head);
    for (; steps < kMostTasks && node != head && kKernelHalf.contains(node); ++steps) {
      add(node - thread_node_);
      node = follow(node);
    }
    leader = follow(leader + tasks_) - tasks_;
    if (leader == init_task_) break;
  }
  return tasks;
}

}  // namespace hindsight::debugger::symbols
