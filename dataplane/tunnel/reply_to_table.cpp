// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/tunnel/reply_to_table.hpp"

#include <unistd.h>

#include <algorithm>

namespace homeport::tunnel {

OneShotNotes::OneShotNotes() : slots_(new std::array<Slot, kSlots>) {
    // Home addresses are chosen by whoever sends packets; without a secret they could be chosen so
    // that all of them fall on one slot. If there is no entropy the address of the table must do.
    seed_ = reinterpret_cast<std::uintptr_t>(slots_.get());
    (void)getentropy(&seed_, sizeof seed_);
}

std::size_t OneShotNotes::first_slot(const Ipv6Address& home_address) const {
    std::uint64_t x = (home_address.high() ^ seed_) * 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 32) ^ home_address.low()) * 0xd6e8feb86659fd93u;
    return (x ^ (x >> 32)) % kSlots;
}

OneShotNotes::Slot& OneShotNotes::slot_of(const Ipv6Address& home_address) const {
    // At most half of the slots are of this run, so the probe ends.
    std::size_t at = first_slot(home_address);
    while ((*slots_)[at].run == run_ && (*slots_)[at].home_address != home_address) {
        at = (at + 1) % kSlots;
    }
    return (*slots_)[at];
}

OneShotNotes::Slot* OneShotNotes::find(const Ipv6Address& home_address) const {
    Slot& slot = slot_of(home_address);
    return slot.run == run_ && !slot.taken ? &slot : nullptr;
}

OneShotNotes::Result OneShotNotes::put(const Ipv6Address& home_address,
                                       const WireEndpoint& endpoint) {
    Slot& slot = slot_of(home_address);
    if (slot.run == run_) {
        if (!slot.taken) return Result::kBusy;
    } else {
        if (used_ == kMaxNotes) return Result::kFull;
        ++used_;
    }
    slot = Slot{run_, home_address, endpoint, false};
    ++live_;
    return Result::kOk;
}

const WireEndpoint* OneShotNotes::peek(const Ipv6Address& home_address) const {
    if (live_ == 0) return nullptr;
    const Slot* slot = find(home_address);
    return slot == nullptr ? nullptr : &slot->endpoint;
}

std::optional<WireEndpoint> OneShotNotes::take(const Ipv6Address& home_address) {
    if (live_ == 0) return std::nullopt;
    Slot* slot = find(home_address);
    if (slot == nullptr) return std::nullopt;
    slot->taken = true;
    --live_;
    return slot->endpoint;
}

void OneShotNotes::end_run() {
    if (used_ == 0) return;
    ++run_;
    used_ = 0;
    live_ = 0;
}

bool ReplyToTable::wait(const Ipv6Address& home_address, void* packet) {
    if (waiting_count_ == kMaxWaiting) return false;
    const std::span<const Waiting> all(waiting_.data(), waiting_count_);
    const auto same = std::ranges::count(all, home_address, &Waiting::home_address);
    if (static_cast<std::size_t>(same) >= kWaitingPerHomeAddress) return false;
    waiting_[waiting_count_++] = {home_address, packet};
    return true;
}

std::size_t ReplyToTable::take_waiting(std::span<void*> packets) {
    const std::size_t count = std::min(packets.size(), waiting_count_);
    for (std::size_t i = 0; i < count; ++i) packets[i] = waiting_[i].packet;
    std::copy(waiting_.begin() + static_cast<std::ptrdiff_t>(count),
              waiting_.begin() + static_cast<std::ptrdiff_t>(waiting_count_), waiting_.begin());
    waiting_count_ -= count;
    return count;
}

}  // namespace homeport::tunnel
