#include "tests/replay/guest_harness.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "traces/store/trace_reader.h"
#include "traces/store/trace_writer.h"

namespace hindsight::tests {

namespace store = traces::store;
using std::chrono::milliseconds;
using Words = std::vector<std::string>;

int repetitions(int usual, int soak) {
  const char* wanted = std::getenv("HINDSIGHT_SOAK");
  return wanted != nullptr && std::string(wanted) == "1" ? soak : usual;
}

Process::Process(Words words, Input input) {
  int output[2] = {}, slave = -1;
  if (pipe2(output, O_CLOEXEC) != 0) throw std::runtime_error("pipe");
  if (input == Input::terminal && openpty(&terminal_, &slave, nullptr, nullptr, nullptr) != 0)
    throw std::runtime_error("openpty");
  if (input == Input::none) slave = open("/dev/null", O_RDONLY | O_CLOEXEC);
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  id_ = fork();
  if (id_ == 0) {
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);  // a killed test leaves no guest, server or load behind
    dup2(slave, STDIN_FILENO);
    dup2(output[1], STDOUT_FILENO);
    dup2(output[1], STDERR_FILENO);
    if (terminal_ >= 0) close(terminal_);
    execvp(arguments[0], arguments.data());
    _exit(127);
  }
  close(slave);
  close(output[1]);
  output_ = output[0];
  if (terminal_ >= 0) fcntl(terminal_, F_SETFD, FD_CLOEXEC);
}

Process::~Process() {
  if (id_ > 0) {
    signal(SIGKILL);
    waitpid(id_, nullptr, 0);
  }
  close(output_);
  if (terminal_ >= 0) close(terminal_);
}

bool Process::read_some(milliseconds patience) {
  pollfd waiting{output_, POLLIN, 0};
  if (poll(&waiting, 1, static_cast<int>(patience.count())) <= 0) return true;
  char buffer[4096];
  const ssize_t got = read(output_, buffer, sizeof buffer);
  if (got > 0) text_.append(buffer, static_cast<std::size_t>(got));
  return got > 0;
}

bool Process::wait_for(const std::string& text, std::chrono::seconds patience) {
  const auto until = std::chrono::steady_clock::now() + patience;
  while (text_.find(text) == std::string::npos) {
    if (std::chrono::steady_clock::now() > until || !read_some(milliseconds(100))) return false;
  }
  return true;
}

void Process::type(const std::string& text) {
  ASSERT_EQ(::write(terminal_, text.data(), text.size()), static_cast<ssize_t>(text.size()));
}

void Process::signal(int number) const { kill(-id_, number); }

Outcome Process::wait() {
  while (read_some(milliseconds(1000))) {
  }
  int status = 0;
  waitpid(id_, &status, 0);
  id_ = -1;
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), text_};
}

void copy_trace(const std::string& from, const std::string& to,
                const std::function<void(store::Event&, store::Bytes&)>& edit) {
  auto reader = store::TraceReader::open(from);
  ASSERT_TRUE(reader) << reader.failure().message;
  auto writer = store::TraceWriter::create(to);
  ASSERT_TRUE(writer) << writer.failure().message;
  store::MachineConfig config = (*reader)->config();
  config.kernel = (*writer)->put_blob(config.kernel.name, *(*reader)->blob(config.kernel));
  config.initrd = (*writer)->put_blob(config.initrd.name, *(*reader)->blob(config.initrd));
  ASSERT_TRUE((*writer)->begin(config));
  for (std::uint64_t i = 0; i < (*reader)->chunk_count(); ++i) {
    store::Chunk chunk = *(*reader)->chunk(i);
    for (store::Event& event : chunk.events) {
      store::Bytes payload = *(*reader)->payload(event);
      edit(event, payload);
      event.pieces.clear();
      event.payload = std::move(payload);
      (*writer)->append(std::move(event));
    }
    for (const store::OutputRun& run : chunk.outputs)
      (*writer)->output(run.channel, run.first_byte, run.first_unit, run.bytes, run.units);
  }
  for (std::uint64_t i = 0; i < (*reader)->digest_count(); ++i) (*writer)->digest(*(*reader)->digest(i));
  (*writer)->progress((*reader)->progress().at);
  ASSERT_TRUE((*reader)->end().has_value());
  const Status finished = (*writer)->finish(*(*reader)->end());
  ASSERT_TRUE(finished) << finished.failure().message;
}

GuestTest::GuestTest() : folder_(testing::TempDir() + "hindsight_guest_" + std::to_string(getpid())) {
  std::filesystem::create_directories(folder_);
}

GuestTest::~GuestTest() {
  server_.reset();
  std::filesystem::remove_all(folder_);
}

void GuestTest::SetUp() {
  const Outcome fetched = run({HINDSIGHT_GUESTS "/fetch"});
  if (fetched.code == 77) GTEST_SKIP() << fetched.text;
  ASSERT_EQ(fetched.code, 0) << fetched.text;
  fetched_ = "\n" + fetched.text;
  kernel_ = guest("KERNEL");
  initrd_ = guest("INITRD");
}

std::string GuestTest::guest(const std::string& name) const {
  const std::size_t at = fetched_.find("\n" + name + "=");
  if (at == std::string::npos) throw std::runtime_error("fetch names no " + name);
  const std::size_t begin = at + name.size() + 2;
  return fetched_.substr(begin, fetched_.find('\n', begin) - begin);
}

void GuestTest::write(const std::string& name, const std::string& contents) const {
  std::ofstream(path(name), std::ios::binary) << contents;
}

Words GuestTest::record(const std::string& trace, const std::string& append, const Words& more) const {
  Words words{HINDSIGHT_EXECUTABLE,
              "record",
              "--force",
              "-o",
              path(trace),
              "--kernel",
              kernel_,
              "--initrd",
              initrd_,
              "--append",
              "console=ttyS0 panic=-1 " + append};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

unsigned GuestTest::serve(const std::string& folder) {
  for (unsigned i = 0; server_ == nullptr && i < 20; ++i) {
    port_ = 20000 + (static_cast<unsigned>(getpid()) * 20 + i) % 12000;
    const std::string address = fmt::format("127.0.0.1:{}", port_);
    server_ =
        std::make_unique<Process>(Words{guest("BUSYBOX"), "httpd", "-f", "-v", "-p", address, "-h", folder});
    // A taken port makes it end at once.
    if (server_->wait_for("bind", std::chrono::seconds(1))) server_.reset();
  }
  return port_;
}

Words GuestTest::full_machine() {
  std::filesystem::copy_file(guest("DISK"), path("disk.img"),
                             std::filesystem::copy_options::overwrite_existing);
  serve(guest("WWW"));
  return {"--disk", path("disk.img"), "--net", "user"};
}

std::string GuestTest::full_append() const { return fmt::format("hs.mode=full hs.http={}", port_); }

std::string GuestTest::shell_script(const std::string& line) const {
  write("script", "expect \"# \"\nsend \"" + line + "\\n\"\n");
  return path("script");
}

Outcome GuestTest::run(Words words) { return Process(std::move(words)).wait(); }

Outcome GuestTest::hindsight(Words words) {
  words.insert(words.begin(), HINDSIGHT_EXECUTABLE);
  return run(std::move(words));
}

void GuestTest::expect_verified(const std::string& trace, const std::string& engine) {
  const Outcome verified = hindsight({"verify", "--engine", engine, trace});
  EXPECT_EQ(verified.code, 0) << engine << ": " << verified.text;
  EXPECT_THAT(verified.text, testing::HasSubstr(": ok: "));
}

std::uint64_t GuestTest::end_of(const std::string& trace) {
  const auto reader = store::TraceReader::open(trace);
  if (!reader) {
    ADD_FAILURE() << reader.failure().message;
    return 0;
  }
  return (*reader)->progress().at.icount.value;
}

}  // namespace hindsight::tests
