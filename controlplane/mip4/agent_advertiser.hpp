// SPDX-License-Identifier: BSD-3-Clause
// When a mobility agent advertises itself on one link (RFC 5944 section 2.3; RFC 1256 section 4.3):
// home agents on their home link and foreign agents alike. Pure: time in, frames' worth of packets
// out.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <random>
#include <vector>

#include "controlplane/mip4/binding.hpp"
#include "controlplane/wire/mip4_agent_discovery.hpp"
#include "dataplane/base/address.hpp"

namespace homeport::mip4 {

struct AdvertiserConfig {
    Ipv4Address address{};                         // source, ours on this link
    wire::AgentFlags flags{};                      // `busy` is changed by set_busy()
    std::uint16_t registration_lifetime = 600;     // seconds; 0xffff: any
    std::vector<Ipv4Address> care_of_addresses{};  // of a foreign agent
    bool routes_common_traffic = true;             // else only of registered mobile nodes
    /// Default routers that are offered; may be none.
    std::vector<wire::AdvertisedRouter> routers{};
    /// One for each router, or none: all agents of a link do it alike (RFC 5944 section 2.3).
    std::vector<std::uint8_t> prefix_lengths{};
    std::vector<wire::AgentExtension> extensions{};  // others, of types 128 to 255

    /// Time from one multicast to the next is random between these two (RFC 1256 section 4.1).
    std::chrono::milliseconds min_interval{7500};
    std::chrono::milliseconds max_interval{10000};
    std::uint16_t lifetime = 30;  // seconds; should be three intervals at least
    bool only_solicited = false;  // no periodic ones
    bool broadcast = false;       // to 255.255.255.255 instead of 224.0.0.1

    double unicast_per_second = 50;  // answers; beyond them one multicast answers for all
    double unicast_burst = 50;
};

/// What forbids such a configuration, for people; nothing: all right.
[[nodiscard]] const char* fault_of(const AdvertiserConfig& config);

/// One advertisement, as a whole IPv4 packet for one frame.
struct Advertisement {
    MacAddress destination{};
    std::vector<std::uint8_t> packet{};
};

struct AdvertiserCounters {
    std::uint64_t multicast = 0;      // advertisements
    std::uint64_t unicast = 0;        //
    std::uint64_t solicited = 0;      // solicitations that were right
    std::uint64_t rate_limited = 0;   // of those, answered by multicast for all
    std::uint64_t bad_solicited = 0;  // solicitations that were not: checksum, TTL, code
};

/// Not thread-safe. Time must not go backwards from call to call.
class AgentAdvertiser {
  public:
    /// `config` must be without fault. `seed`: should differ from host to host.
    AgentAdvertiser(AdvertiserConfig config, TimePoint now, std::uint64_t seed);

    /// An IPv4 packet to 224.0.0.2, 224.0.0.11, broadcast or ourselves that came on the link from
    /// `source`. False: it is no solicitation, nor anything that tries to be one.
    bool receive(ConstByteSpan packet, const MacAddress& source, TimePoint now);

    /// What is due.
    [[nodiscard]] std::vector<Advertisement> tick(TimePoint now);
    /// When tick() has something to do next; none: when somebody solicits.
    [[nodiscard]] std::optional<TimePoint> next_deadline() const;

    /// Flag B, of foreign agents; in force with the next advertisement.
    void set_busy(bool busy);
    /// The last multicast, of lifetime 0: the agent goes (RFC 1256 section 4.3).
    [[nodiscard]] Advertisement farewell();
    /// To one visitor, with sequence number 0: its registration is gone (RFC 3543 section 4.1).
    [[nodiscard]] Advertisement reset_for(const Ipv4Address& home_address, const MacAddress& link);

    [[nodiscard]] const AdvertiserConfig& config() const { return config_; }
    [[nodiscard]] const AdvertiserCounters& counters() const { return counters_; }

  private:
    struct Answer {
        MacAddress link{};
        Ipv4Address address{};
    };
    [[nodiscard]] Advertisement make(const Ipv4Address& destination, const MacAddress& link,
                                     std::uint16_t lifetime);
    [[nodiscard]] Advertisement multicast(std::uint16_t lifetime);
    [[nodiscard]] Duration random_between(Duration from, Duration to);
    void solicit(const Ipv4Address& source, const MacAddress& link, TimePoint now);
    [[nodiscard]] bool may_unicast(TimePoint now);

    AdvertiserConfig config_;
    AdvertiserCounters counters_;
    std::mt19937_64 random_;
    std::uint16_t sequence_ = 0;  // of the next one
    unsigned initial_ = 0;        // multicasts so far, up to the initial ones
    TimePoint periodic_;          // TimePoint::max(): never
    TimePoint response_;          // multicast that answers; TimePoint::max(): none is due
    TimePoint last_multicast_;
    std::vector<Answer> answers_;  // unicasts that are due
    double tokens_;
    TimePoint filled_;
};

}  // namespace homeport::mip4
