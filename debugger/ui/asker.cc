#include "debugger/ui/asker.h"

namespace hindsight::debugger::ui {

Asker::Asker(session::Analyst* analyst, Deliver deliver) : analyst_(analyst), deliver_(std::move(deliver)) {
  if (analyst_ == nullptr) return;
  analyst_->on_progress([this](double share) {
    {
      const std::lock_guard lock(mutex_);
      progress_ = share;
    }
    insist();
  });
  thread_ = std::thread([this] { run(); });
}

Asker::~Asker() {
  if (analyst_ == nullptr) return;
  {
    const std::lock_guard lock(mutex_);
    closing_ = ending_ = true;
    next_.reset();
  }
  wake_.notify_one();
  analyst_->interrupt();
  thread_.join();
  analyst_->on_progress({});
}

void Asker::ask(std::uint64_t number, Question question) {
  bool under_way = false;
  {
    const std::lock_guard lock(mutex_);
    next_ = Asked{number, std::move(question)};
    under_way = ending_ = asking_;
  }
  wake_.notify_one();
  if (under_way) analyst_->interrupt();
}

void Asker::cancel() {
  {
    const std::lock_guard lock(mutex_);
    if (next_) next_->question = [] { return Result<Answer>(error("interrupted")); };
    if (!asking_) return;
    ending_ = true;
  }
  analyst_->interrupt();
}

void Asker::insist() {
  {
    const std::lock_guard lock(mutex_);
    if (!ending_ || !asking_) return;
  }
  analyst_->interrupt();
}

double Asker::progress() const {
  const std::lock_guard lock(mutex_);
  return progress_;
}

void Asker::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [&] { return closing_ || next_; });
    if (closing_) return;
    const Asked asked = std::move(*next_);
    next_.reset();
    asking_ = true;
    progress_ = 0;
    lock.unlock();
    deliver_(asked.number, asked.question());
    lock.lock();
    asking_ = ending_ = false;
  }
}

}  // namespace hindsight::debugger::ui
