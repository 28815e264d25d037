// SPDX-License-Identifier: BSD-3-Clause
// One binding update on its way through the validation steps of the home agent.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "controlplane/binding/entry.hpp"
#include "controlplane/mip6/config.hpp"
#include "controlplane/mip6/counters.hpp"
#include "controlplane/wire/mobility_header.hpp"
#include "dataplane/base/address.hpp"

namespace homeport::mip6 {

/// What the tunnel module and IPsec know about a packet that its normal form no longer shows.
struct ReceiveInfo {
    bool protected_by_ipsec = false;
    /// Outermost source address on the wire: the care-of address, or the home address at home; an
    /// IPv4 address when the packet came in UDP over IPv4.
    IpAddress wire_source{};
    /// The packet carried a Home Address option.
    bool had_hao = false;
    /// Port that the packet came in on.
    std::uint16_t port = 0;
    /// UDP source port of a packet that came in UDP; else 0.
    std::uint16_t wire_port = 0;
    /// Over IPv4: the address and port of ours that it was sent to (S1.71).
    std::optional<binding::OuterSource> local_endpoint{};
};

struct BindingRequest {
    wire::BindingUpdate update{};
    ReceiveInfo info{};
    Ipv6Address home_address{};  // source of the normal form
    Ipv6Address home_agent{};    // destination
    /// What the mobile node says its address is: behind a NAT not where packets are sent to.
    IpAddress care_of_address{};
    /// Over IPv4, by step 9: whether the outer source is that address (S1.61).
    binding::NatVerdict nat = binding::NatVerdict::kNotApplicable;
    std::vector<Ipv6Prefix> mobile_prefixes{};  // set by steps 20 to 22
    binding::PrefixMode prefix_mode = binding::PrefixMode::kNone;
    /// Step 14b wrote the sequence number into an entry: to be stored whatever comes of it.
    bool sequence_noted = false;
    /// Answers to IPv4 Home Address options (step 23), in their order.
    std::vector<wire::Ipv4AddressAcknowledgement> ipv4_answers{};
    /// IPv4 home addresses that are granted.
    std::vector<binding::Ipv4Home> ipv4_homes{};

    [[nodiscard]] bool is_over_ipv6() const {
        return std::holds_alternative<Ipv6Address>(info.wire_source);
    }
    [[nodiscard]] bool is_in_udp() const { return info.wire_port != 0 || !is_over_ipv6(); }
};

/// What one step says: go on with the next, done (answered or taken), drop in silence under a
/// counter, or reject with a status.
struct StepResult {
    enum class Kind : std::uint8_t { kContinue, kDone, kDrop, kReject };
    Kind kind = Kind::kContinue;
    Counter counter{};             // of kDrop
    wire::BindingStatus status{};  // of kReject
    const char* detail = "";

    [[nodiscard]] static StepResult go_on() { return {}; }
    [[nodiscard]] static StepResult done() { return {.kind = Kind::kDone}; }
    [[nodiscard]] static StepResult drop(Counter counter, const char* detail) {
        return {.kind = Kind::kDrop, .counter = counter, .detail = detail};
    }
    [[nodiscard]] static StepResult reject(wire::BindingStatus status, const char* detail) {
        return {.kind = Kind::kReject, .status = status, .detail = detail};
    }
};

}  // namespace homeport::mip6
