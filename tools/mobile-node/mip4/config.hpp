// SPDX-License-Identifier: BSD-3-Clause
// Section mobile_ipv4 of homeport-mn.yaml: a mobile node of Mobile IPv4, plain or across a VPN
// (Part S2).
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/mip4/authenticator.hpp"
#include "controlplane/mip4/network_detection.hpp"
#include "controlplane/mip4/udp_decision.hpp"
#include "dataplane/base/address.hpp"
#include "tools/mobile-node/sa_pair_config.hpp"

namespace homeport::mobile_node {

/// Whether to ask for a UDP tunnel (RFC 3519).
enum class Mip4Udp : std::uint8_t { kOff, kAllowed, kForced };

/// A home agent and what is shared with it.
struct Mip4HomeAgent {
    Ipv4Address home_agent;
    Ipv4Address home_address;  // 0.0.0.0: given by the home agent, with `nai`
    std::string nai;           // RFC 2794; empty: none
    std::uint32_t spi = 256;   // 256..2^32-1
    mip4::Algorithm algorithm = mip4::Algorithm::kHmacMd5;
    std::string key_file;  // absolute
    mip4::ReplayStyle replay = mip4::ReplayStyle::kTimestamps;
    std::uint16_t lifetime = 600;  // seconds asked for, 10..65535 (infinite)
    mip4::Encapsulation encapsulation = mip4::Encapsulation::kIpInIp;
    Mip4Udp udp = Mip4Udp::kAllowed;
    bool reverse_tunnel = true;

    friend bool operator==(const Mip4HomeAgent&, const Mip4HomeAgent&) = default;
};

/// Whether ESP goes in UDP 4500. kAuto: when nothing answers without.
enum class Mip4EspUdp : std::uint8_t { kOff, kAuto, kOn };

struct Mip4Vpn {
    Ipv4Address gateway;
    Ipv4Address inner_address;  // VPN-TIA
    SaPair sa;                  // tunnel mode, between x-HoA and gateway
    Mip4EspUdp nat_traversal = Mip4EspUdp::kAuto;

    friend bool operator==(const Mip4Vpn&, const Mip4Vpn&) = default;
};

struct Mip4Detection {
    mip4::Profile profile = mip4::Profile::kRfc5265;
    std::chrono::milliseconds detect_period{2000};   // 0..60000
    std::chrono::seconds monitor{60};                // T_MONITOR: 5..3600 (S2.53)
    std::chrono::seconds grace{10};                  // 1.., less than monitor
    bool queue = true;                               // stale: packets wait; else they are dropped
    std::uint32_t queue_size = 256;                  // packets, 1..65536
    std::optional<std::chrono::seconds> idle_after;  // none: never idle
    unsigned stale_retries = 3;                      // 1..100
    bool assume_outside = false;                     // S2.95

    friend bool operator==(const Mip4Detection&, const Mip4Detection&) = default;
};

/// What tells the inside from the outside, if nobody lies (S2.74 to S2.76).
struct Mip4Hints {
    static constexpr std::size_t kMost = 64;       // of each
    std::vector<std::string> domains;              // lower case; those below count, too
    std::string resolv_conf = "/etc/resolv.conf";  // where DHCP puts the domain
    /// Extension of a foreign agent's advertisements that has its NAI, 128..255: its realm is
    /// compared with `domains`. 0: not read.
    std::uint8_t nai_extension = 131;
    std::vector<MacAddress> gateway_macs;  // of default gateways inside

    friend bool operator==(const Mip4Hints&, const Mip4Hints&) = default;
};

/// Foreign agents: used where an interface has no address, or where the agent requires it; always;
/// never.
enum class Mip4ForeignAgents : std::uint8_t { kAuto, kAlways, kNever };

struct Mip4Config {
    Mip4HomeAgent internal;                 // of a plain mobile node: the home agent
    std::optional<Mip4HomeAgent> external;  // with `vpn`, both or none
    std::optional<Mip4Vpn> vpn;
    Mip4Detection detection;
    Mip4Hints hints;
    Mip4ForeignAgents foreign_agents = Mip4ForeignAgents::kAuto;
    std::chrono::seconds keepalive{110};  // of UDP tunnels, unless told: 10..3600
    bool mss_clamp = true;                // through the VPN
    std::uint16_t path_mtu = 0;           // of access networks; 0: as the kernel finds out

    friend bool operator==(const Mip4Config&, const Mip4Config&) = default;
};

void read_mip4(config::Section section, const std::filesystem::path& directory, Mip4Config& out);
/// What no single value shows.
void check_mip4(const Mip4Config& config, bool lab_static_gcm, config::Report& report);

}  // namespace homeport::mobile_node
