// SPDX-License-Identifier: BSD-3-Clause
// Mobility bindings of Mobile IPv4 (RFC 5944 section 3.8.1): a home address, and the care-of
// addresses that it is bound to.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/mip4/udp_decision.hpp"
#include "dataplane/base/address.hpp"

namespace homeport::mip4 {

using TimePoint = std::chrono::steady_clock::time_point;
using Duration = std::chrono::steady_clock::duration;

struct Endpoint {
    Ipv4Address address{};
    std::uint16_t port = 0;  // UDP
    friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

struct Binding {
    Ipv4Address care_of_address{};  // as the request names it; bindings are told apart by it
    Endpoint tunnel_end{};          // where packets go; the port only with UDP
    Endpoint local_end{};           // our address, which the mobile node registered with
    Encapsulation encapsulation = Encapsulation::kIpInIp;
    bool udp = false;
    bool half_bound = false;      // nothing is sent before a keepalive came (RFC 3519 4.4)
    bool reverse_tunnel = false;  // T, as granted
    bool co_located = false;      // D
    bool broadcasts = false;      // B
    std::uint16_t keepalive = 0;  // seconds, as told
    std::uint16_t lifetime = 0;   // seconds, as granted; 0xffff: infinite
    std::uint64_t identification = 0;
    std::uint32_t spi = 0;
    Endpoint requested_from{};  // source of the request
    /// RFC 3543: whoever sent the request wants to be told of a revocation, and was told that we
    /// do.
    bool revocable = false;
    bool by_foreign_agent = false;           // who that is; else the mobile node itself
    bool informs_mobile_node = false;        // bit I, as agreed
    std::uint32_t revocation_timestamp = 0;  // of its clock; its revocations are newer
    std::uint32_t foreign_association = 0;   // SPI that is shared with that foreign agent
    TimePoint registered{};                  // since when without a gap
    TimePoint deadline{};                    // TimePoint::max(): never
    friend bool operator==(const Binding&, const Binding&) = default;
};

/// All of one home address, newest last.
struct BoundNode {
    Ipv4Address home_address{};
    std::string node{};       // name in the configuration
    bool is_dynamic = false;  // the home address is from a pool
    bool virtual_home_link = true;
    std::uint16_t home_port = 0;
    std::vector<Binding> bindings{};
    friend bool operator==(const BoundNode&, const BoundNode&) = default;
};

}  // namespace homeport::mip4
