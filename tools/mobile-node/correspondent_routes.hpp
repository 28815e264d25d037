// SPDX-License-Identifier: BSD-3-Clause
// Who is reached by the direct way, as the packet paths ask it: the table that the protocol of
// route_optimisation.hpp fills.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <unordered_map>
#include <vector>

#include "dataplane/base/address.hpp"
#include "dataplane/ipsec/packet.hpp"

namespace homeport::mobile_node {

class CorrespondentRoutes {
  public:
    using Clock = std::chrono::steady_clock;
    struct Events {
        /// Of a packet to this correspondent more than `mtu` octets do not get there; `packet` is
        /// in normal form.
        std::function<void(ConstByteSpan packet, unsigned mtu)> too_big;
    };
    explicit CorrespondentRoutes(Events events) : events_(std::move(events)) {}

    /// `usable`: have a binding with `care_of_address`. `bound`: may send to us with a type 2
    /// routing header, also the former.
    void replace(const Ipv6Address& care_of_address, const std::vector<Ipv6Address>& usable,
                 const std::vector<Ipv6Address>& bound);

    enum class Taken : std::uint8_t { kNo, kYes, kTooBig, kNoRoom };
    /// A packet in normal form that IPsec let pass, to leave from `care_of_address`. kYes: it is
    /// one for the wire now, with Home Address option. Signalling never is (RFC 6275 6.1).
    [[nodiscard]] Taken take(ipsec::Packet& packet, const Ipv6Address& care_of_address);
    /// Whether packets with a routing header from there are welcome.
    [[nodiscard]] bool expects(const Ipv6Address& source) const { return routes_.contains(source); }

    /// The path from our care-of address takes no more octets; forgotten after ten minutes
    /// (RFC 8201 section 4). False: no such correspondent, or too few for any use.
    bool note_path_mtu(const Ipv6Address& correspondent, unsigned mtu, Clock::time_point now);
    /// Correspondents that packets went to since the last call.
    [[nodiscard]] std::vector<Ipv6Address> take_used();

  private:
    struct Direct {
        bool usable = false;
        bool used = false;
        unsigned path_mtu = 0;  // 0: nothing known
        Clock::time_point learnt{};
    };
    Events events_;
    Ipv6Address care_of_address_;
    std::unordered_map<Ipv6Address, Direct> routes_;
};

}  // namespace homeport::mobile_node
