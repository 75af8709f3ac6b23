#include "engine/exec/observation.h"

namespace hindsight::engine::exec {

void Observation::set(const port::Interests& interests, port::Observer* observer) {
  interests_ = interests;
  observer_ = observer;
  breakpoints_.clear();
  offsets_.reset();
  for (const GuestVirt address : interests.breakpoints) {
    breakpoints_.insert(address.value);
    offsets_.set(address.value & kPageMask);
  }
  stopping_ = false;
  devices_.clear();
}

bool Observation::arrives(port::Position at, std::uint64_t pc) {
  if (!offsets_.test(pc & kPageMask) || !breakpoints_.contains(pc)) return false;
  stopping_ |= observer_->breakpoint(at, GuestVirt{pc});
  return stopping_;
}

void Observation::delivered(port::Delivery delivery, Icount icount) {
  delivery.at = position(icount);
  deliveries_ = delivery.at.delivery + 1;
  delivered_at_ = icount;
  if (interests_.deliveries) stopping_ |= observer_->delivery(delivery);
}

void Observation::transferred(const port::Transfer& transfer) { stopping_ |= observer_->transfer(transfer); }

void Observation::instruction_done(port::Position at, std::uint64_t pc, std::vector<port::Access>& accesses) {
  for (port::Access& access : accesses) {
    access.at = at;
    access.pc = GuestVirt{pc};
    stopping_ |= observer_->access(access);
  }
  accesses.clear();
  for (port::DeviceAccess& access : devices_) {
    access.at = at;
    access.pc = GuestVirt{pc};
    stopping_ |= observer_->device(access);
  }
  devices_.clear();
}

}  // namespace hindsight::engine::exec
