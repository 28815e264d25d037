// SPDX-License-Identifier: BSD-3-Clause
// A binding cache entry of a home agent (RFC 6275 9.1, 10.1; RFC 3963; RFC 5555).
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/binding/timer_wheel.hpp"
#include "controlplane/wire/units.hpp"
#include "dataplane/base/address.hpp"

namespace homeport::binding {

enum class State : std::uint8_t {
    kTentative,  // duplicate address detection runs; nothing is forwarded
    kActive,
    kDeleteWait,  // deregistered: not forwarded; only the sequence number still counts (10.3.2)
};
[[nodiscard]] const char* to_string(State state);

/// How packets travel between home agent and mobile node.
enum class Encapsulation : std::uint8_t {
    kIpv6,     // IPv6 care-of address
    kIpv4,     // IPv4 care-of address, no NAT
    kIpv4Udp,  // IPv4 care-of address, UDP 4191
    kIpv6Udp,  // forced UDP over IPv6
};
[[nodiscard]] const char* to_string(Encapsulation encapsulation);

enum class NatVerdict : std::uint8_t { kNotApplicable, kNoNat, kNat, kForced };

/// RFC 3963 5.2: how the mobile router named its prefixes.
enum class PrefixMode : std::uint8_t { kNone, kImplicit, kExplicit };

struct Ipv4Home {
    Ipv4Prefix prefix{};  // the address itself when the length is 32
    bool dynamic = false;
    friend bool operator==(const Ipv4Home&, const Ipv4Home&) = default;
};

/// An address and port seen in an outer IPv4/UDP header; port 0 without UDP.
struct OuterSource {
    Ipv4Address address{};
    std::uint16_t port = 0;
    friend bool operator==(const OuterSource&, const OuterSource&) = default;
};

struct Entry {
    Ipv6Address home_address{};
    /// As the mobile node knows it: over IPv4 that of option 32, which a NAT hides; packets are
    /// sent to `outer_source`.
    IpAddress care_of_address{};
    State state = State::kTentative;

    /// Of the newest valid binding update, accepted or not (step 14b).
    std::uint16_t sequence = 0;
    wire::FourSecondUnits lifetime{};  // as granted
    /// Active: end of the lifetime. Delete-wait: end of the wait. Tentative: end of patience.
    TimePoint deadline{};
    TimePoint registered{};  // since when without a gap
    TimePoint updated{};     // last accepted binding update

    bool home_registration = true;         // H
    bool link_local = false;               // L
    bool key_management_mobility = false;  // K, as granted
    bool mobile_router = false;            // R
    bool force_udp = false;                // F

    /// The home agent address that the mobile node registered with.
    Ipv6Address home_agent{};
    /// Port of the real home link; meaningless if `virtual_home_link`.
    std::uint16_t home_port = 0;
    bool virtual_home_link = true;
    PrefixMode prefix_mode = PrefixMode::kNone;
    std::string node{};  // identity from the configuration; empty if unknown

    std::vector<Ipv6Prefix> mobile_prefixes{};
    std::vector<Ipv4Home> ipv4_homes{};

    Encapsulation encapsulation = Encapsulation::kIpv6;
    NatVerdict nat = NatVerdict::kNotApplicable;
    std::optional<OuterSource> outer_source{};    // V4ADDR:Z of the binding update
    std::optional<OuterSource> local_endpoint{};  // HAv4:port that the binding update was sent to
    std::optional<OuterSource> esp_source{};      // address:Y, learned on UDP 4500
    std::uint32_t nat_refresh_time = 0;           // seconds
    std::uint16_t ipv6_udp_port = 0;              // kIpv6Udp: the mobile node's port

    [[nodiscard]] bool is_active() const { return state == State::kActive; }
    [[nodiscard]] bool is_over_ipv4() const {
        return encapsulation == Encapsulation::kIpv4 || encapsulation == Encapsulation::kIpv4Udp;
    }
    /// False: its NAT mapping was given to another mobile node, and it has not registered since.
    [[nodiscard]] bool has_tunnel() const { return !is_over_ipv4() || outer_source.has_value(); }
    friend bool operator==(const Entry&, const Entry&) = default;
};
/// There is one for each mobile node, and the allocator gives out steps of 16 octets.
static_assert(sizeof(Entry) <= 216);

/// What is left of the lifetime, never negative.
[[nodiscard]] inline Duration remaining(const Entry& entry, TimePoint now) {
    return entry.deadline > now ? entry.deadline - now : Duration::zero();
}

}  // namespace homeport::binding
