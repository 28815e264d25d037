// SPDX-License-Identifier: BSD-3-Clause
// Duplicate address detection of home addresses on a home link (RFC 4862 5.4, RFC 6275 10.3.1), as
// a pure state machine: the caller sends the probes and feeds in what neighbors say.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "controlplane/mip6/actions.hpp"
#include "controlplane/wire/ipv6_packet.hpp"
#include "dataplane/base/address.hpp"

namespace homeport::mip6 {

class DuplicateAddressDetection {
  public:
    struct Probe {
        std::vector<std::uint8_t> packet;  // whole IPv6 packet, hop limit 255
        Ipv6Address destination;           // solicited-node group
        std::uint16_t port = 0;
    };
    struct Verdict {
        Ipv6Address home_address;
        bool unique = false;
    };

    /// `wait` is RetransTimer after the one probe (DupAddrDetectTransmits 1).
    explicit DuplicateAddressDetection(
        std::chrono::milliseconds wait = std::chrono::milliseconds{1000})
        : wait_(wait) {}

    /// The probes to send now. A run for the same home address is begun anew.
    [[nodiscard]] std::vector<Probe> start(const StartDad& request, binding::TimePoint now);
    void cancel(const Ipv6Address& home_address);

    /// A neighbor solicitation or advertisement that came in on `port` (RFC 4862 5.4.3, 5.4.4): a
    /// probe or an advertisement of one of our tentative addresses ends its run. `own` are the link
    /// addresses of our ports: what we sent ourselves is no duplicate. Other packets are ignored.
    [[nodiscard]] std::optional<Verdict> receive(const wire::Ipv6PacketView& packet,
                                                 const MacAddress& link_source,
                                                 const MacAddress& own, std::uint16_t port);
    /// Runs whose time is over without an objection.
    [[nodiscard]] std::vector<Verdict> tick(binding::TimePoint now);
    [[nodiscard]] std::optional<binding::TimePoint> next_deadline() const;
    [[nodiscard]] std::size_t size() const { return runs_.size(); }

  private:
    struct Run {
        std::optional<Ipv6Address> link_local;
        std::uint16_t port = 0;
        binding::TimePoint deadline{};
    };
    std::chrono::milliseconds wait_;
    std::unordered_map<Ipv6Address, Run> runs_;                 // bounded by the binding cache
    std::unordered_map<Ipv6Address, Ipv6Address> link_locals_;  // link-local -> home address
};

}  // namespace homeport::mip6
