// SPDX-License-Identifier: BSD-3-Clause
// Mobile prefix discovery on the mobile node (RFC 6275 section 11.4.2 and 11.4.3): a pure state
// machine as mobile_node.hpp. It asks when told to, when the home agent hints at news, and before
// what it was told comes to its end.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "controlplane/wire/icmpv6.hpp"
#include "dataplane/base/address.hpp"

namespace homeport::mip6 {

struct PrefixSolicitorConfig {
    Ipv6Address home_address;
    Ipv6Address home_agent;
    std::chrono::seconds initial_timeout{3};  // INITIAL_SOLICIT_TIMER, doubled each time
    unsigned attempts = 4;                    // 45 s in all
    std::chrono::seconds retry_after{300};    // then, if lifetimes are about to end
    std::chrono::seconds least_interval{1};   // between solicitations that others set off
    bool allow_unprotected = false;           // lab switch
};

struct PrefixSolicitorCounters {
    std::uint64_t sent = 0;
    std::uint64_t accepted = 0;
    std::uint64_t given_up = 0;
    std::uint64_t ignored_malformed = 0;
    std::uint64_t ignored_not_from_home_agent = 0;
    std::uint64_t ignored_unprotected = 0;
    std::uint64_t ignored_no_routing_header = 0;
    std::uint64_t ignored_identifier = 0;  // unsolicited ones too: each is answered by asking
};

class PrefixSolicitor {
  public:
    using TimePoint = std::chrono::steady_clock::time_point;
    using Duration = std::chrono::steady_clock::duration;
    /// A packet HoA > HA in normal form to send, through IPsec and with Home Address option.
    using Packet = std::optional<std::vector<std::uint8_t>>;

    /// A prefix of the home link as last advertised.
    struct Prefix {
        wire::PrefixInformation information;
        TimePoint heard{};
        /// None: infinite.
        std::optional<TimePoint> valid_until;
        std::optional<TimePoint> preferred_until;
    };

    /// `random` makes identifiers.
    PrefixSolicitor(PrefixSolicitorConfig config, std::function<std::uint16_t()> random);

    /// Away and registered, or not: only then anything is sent.
    [[nodiscard]] Packet set_registered(bool registered, TimePoint now);
    /// On demand, or because an acknowledgement had status 1. While one is outstanding it is that
    /// one that is meant.
    [[nodiscard]] Packet solicit(TimePoint now);
    /// ICMPv6 in normal form. What it gives is to be sent.
    [[nodiscard]] Packet receive(ConstByteSpan packet, bool is_protected, bool had_routing_header,
                                 TimePoint now);
    [[nodiscard]] Packet tick(TimePoint now);
    [[nodiscard]] std::optional<TimePoint> next_deadline() const;

    [[nodiscard]] const std::vector<Prefix>& prefixes() const { return prefixes_; }
    [[nodiscard]] bool is_asking() const { return attempts_ > 0; }
    [[nodiscard]] const PrefixSolicitorCounters& counters() const { return counters_; }

  private:
    [[nodiscard]] Packet begin(TimePoint now);
    [[nodiscard]] Packet transmit(TimePoint now);
    void learn(const wire::MobilePrefixAdvertisement& advertisement, TimePoint now);

    PrefixSolicitorConfig config_;
    std::function<std::uint16_t()> random_;
    bool registered_ = false;
    bool wanted_ = false;  // asked for while it could not be sent
    unsigned attempts_ = 0;
    std::uint16_t identifier_ = 0;
    Duration timeout_{};
    std::optional<TimePoint> next_;  // transmission of what is outstanding
    std::optional<TimePoint> last_;  // transmission
    std::optional<TimePoint> renew_at_;
    std::vector<Prefix> prefixes_;
    PrefixSolicitorCounters counters_;
};

}  // namespace homeport::mip6
