// SPDX-License-Identifier: BSD-3-Clause
// Multicast listener discovery for the groups of defended addresses on home links (RFC 4861 section
// 7.2.8, RFC 3810, RFC 2710): reports when a group is joined or left, answers to queries. Pure:
// packets and time in, packets out.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <utility>
#include <vector>

#include "controlplane/wire/ipv6_packet.hpp"
#include "dataplane/base/address.hpp"

namespace homeport::core {

class MldResponder {
  public:
    using TimePoint = std::chrono::steady_clock::time_point;

    /// A whole IPv6 packet to put on the link.
    struct Report {
        std::uint16_t port = 0;
        Ipv6Address destination;
        std::vector<std::uint8_t> packet;
    };
    using Reports = std::vector<Report>;

    /// Records of a report: it stays below 1280 octets.
    static constexpr std::size_t kRecordsPerReport = 56;

    explicit MldResponder(std::uint32_t seed = 1) : random_(seed) {}

    /// Source of the reports of a port: its link-local address; :: until it is known (RFC 3590).
    void set_source(std::uint16_t port, const Ipv6Address& link_local);

    [[nodiscard]] Reports join(std::uint16_t port, const Ipv6Address& group, TimePoint now);
    [[nodiscard]] Reports leave(std::uint16_t port, const Ipv6Address& group);

    /// A query that came in; anything else is ignored. The answer comes from tick(): at a random
    /// moment within the time that the query allows, a large one spread over it.
    void receive(std::uint16_t port, const wire::Ipv6PacketView& packet, TimePoint now);

    [[nodiscard]] Reports tick(TimePoint now);
    [[nodiscard]] std::optional<TimePoint> next_deadline() const;
    [[nodiscard]] std::size_t group_count() const;

  private:
    struct Pending {
        TimePoint due;
        std::vector<Ipv6Address> groups;
        bool version_1 = false;
    };
    struct Link {
        std::set<Ipv6Address> groups;
        Ipv6Address source;
        std::vector<Pending> answers;  // to the last general query
        std::map<Ipv6Address, Pending> specific;
        std::deque<std::pair<TimePoint, Ipv6Address>> repeats;  // of unsolicited reports, by time
    };

    void answer_all(Link& link, std::chrono::milliseconds within, bool version_1, TimePoint now);
    static void append(Reports& reports, std::uint16_t port, const Link& link,
                       const std::vector<Ipv6Address>& groups, bool version_1);
    [[nodiscard]] std::chrono::milliseconds random_below(std::chrono::milliseconds limit);

    std::map<std::uint16_t, Link> links_;
    std::mt19937 random_;
};

}  // namespace homeport::core
