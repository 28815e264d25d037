// SPDX-License-Identifier: BSD-3-Clause
// S1.47, rule 3: while a message is expected to come out of IPsec, the protocol's other messages,
// which are sealed with SAs of their own, wait.
//
// Use: ask pass() before such a message is given to IPsec; when the window may be over, send what
// take() gives.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "dataplane/base/byte_order.hpp"
#include "tools/mobile-node/counters.hpp"
#include "tools/mobile-node/signalling_split.hpp"

namespace homeport::mobile_node {

class MessageGate {
  public:
    static constexpr std::size_t kMostHeld = 16;
    using Kind = SignallingSplit::Kind;

    struct Message {
        Kind kind{};  // kData: a Home Test Init or the like, by the way of payload
        std::vector<std::uint8_t> packet;
    };

    /// Both must outlive it.
    MessageGate(const SignallingSplit& split, Counters& counters)
        : split_(split), counters_(counters) {}

    /// False: the packet waits here, or was dropped and counted because too many do.
    [[nodiscard]] bool pass(Kind kind, ConstByteSpan packet) {
        if (!split_.armed()) return true;
        if (held_.size() >= kMostHeld) {
            counters_.add(Counter::kDropHeldMessage);
            return false;
        }
        counters_.add(Counter::kMessageHeld);
        held_.push_back({kind, {packet.begin(), packet.end()}});
        return false;
    }
    /// What may go now, in its order; nothing while a window is open.
    [[nodiscard]] std::deque<Message> take() {
        if (split_.armed()) return {};
        return std::exchange(held_, {});
    }

  private:
    const SignallingSplit& split_;
    Counters& counters_;
    std::deque<Message> held_;
};

}  // namespace homeport::mobile_node
