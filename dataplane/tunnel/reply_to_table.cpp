// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/tunnel/reply_to_table.hpp"

#include <algorithm>

namespace homeport::tunnel {

bool ReplyToTable::wait(const Ipv6Address& home_address, void* packet) {
    if (waiting_count_ == kMaxWaiting) return false;
    const std::span<const Waiting> all(waiting_.data(), waiting_count_);
    const auto same = std::ranges::count(all, home_address, &Waiting::home_address);
    if (static_cast<std::size_t>(same) >= lock_depth_) return false;
    waiting_[waiting_count_++] = {home_address, packet};
    return true;
}

template <class Ready>
std::size_t ReplyToTable::take_those(std::span<void*> packets, Ready&& ready) {
    std::size_t taken = 0;
    std::size_t kept = 0;
    for (std::size_t i = 0; i < waiting_count_; ++i) {
        const Waiting waiting = waiting_[i];
        if (taken < packets.size() && ready(waiting)) {
            packets[taken++] = waiting.packet;
        } else {
            waiting_[kept++] = waiting;
        }
    }
    waiting_count_ = kept;
    return taken;
}

std::size_t ReplyToTable::take_waiting(std::span<void*> packets, std::uint64_t now) {
    return take_those(packets, [&](const Waiting& waiting) {
        return !is_busy(waiting.home_address, now) &&
               !unrecorded_.is_locked(waiting.home_address, now);
    });
}

std::size_t ReplyToTable::take_all(std::span<void*> packets) {
    return take_those(packets, [](const Waiting&) { return true; });
}

}  // namespace homeport::tunnel
