// SPDX-License-Identifier: BSD-3-Clause
// homeport-mn.yaml, the configuration file of the mobile node, as plain structs.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/mip6/mobile_router.hpp"
#include "dataplane/base/address.hpp"
#include "dataplane/config/config.hpp"
#include "tools/mobile-node/mip4/config.hpp"
#include "tools/mobile-node/sa_pair_config.hpp"

namespace homeport::mobile_node {

inline constexpr std::string_view kDefaultFile = "/etc/homeport/homeport-mn.yaml";
inline constexpr std::string_view kDefaultStatusSocket = "/run/homeport-mn.sock";

struct TunnelConfig {
    std::string name = "homeport0";  // of the TUN device, at most 15 characters
    /// Routing table that leads into the device; the next one is for the home link.
    std::uint32_t table = 4191;
    std::uint32_t rule_priority = 4191;
    std::uint8_t hop_limit = 64;      // of the outer header
    std::vector<Ipv6Prefix> routes;   // destinations for the device; default ::/0
    std::vector<Ipv4Prefix> routes4;  // with an IPv4 home address; default 0.0.0.0/0

    friend bool operator==(const TunnelConfig&, const TunnelConfig&) = default;
};

/// RFC 6275 section 11.6: traffic with correspondents that takes the direct way.
struct RouteOptimisationConfig {
    bool enabled = false;
    std::vector<Ipv6Prefix> correspondents;  // masked; default ::/0
    std::uint32_t most = 64;                 // correspondents at a time: 1..1024
    std::chrono::seconds lifetime{420};      // asked for: 4..420 (MAX_RR_BINDING_LIFETIME)

    friend bool operator==(const RouteOptimisationConfig&,
                           const RouteOptimisationConfig&) = default;
};

/// How a binding update is told from data behind IPsec (S1.44, S1.46).
struct SplitConfig {
    config::Technique technique = config::Technique::kApi;
    std::uint16_t bu_heur_timeout = 500;  // milliseconds, 10..10000 (S1.47)
    std::uint8_t bu_heur_min_pkts = 8;    // 1..250 (S1.47)

    friend bool operator==(const SplitConfig&, const SplitConfig&) = default;
};

/// IPv4 networks (RFC 5555), with home_agent_ipv4.
struct DualStackConfig {
    bool force_udp = false;       // F flag, over IPv4
    bool force_udp_ipv6 = false;  // F flag over IPv6 (RFC 5555 4.4.1)
    bool nat_keepalive = true;    // binding updates at the refresh time of the home agent (4.3)
    std::chrono::seconds esp_keepalive{20};  // on UDP 4500 (RFC 3948 section 4); 0: none
    bool nested_esp = false;  // protected_data_over_v4: nested instead of rfc5555 (S1.19)
    /// Rest of a home agent address that does not answer; doubled each time.
    std::chrono::seconds retry{60};

    friend bool operator==(const DualStackConfig&, const DualStackConfig&) = default;
};

/// A LAN whose nodes move with this one (RFC 3963).
struct MobileRouterConfig {
    std::string lan;  // network device; its addresses are the operator's business
    mip6::MobileRouterConfig protocol{};

    friend bool operator==(const MobileRouterConfig&, const MobileRouterConfig&) = default;
};

struct Config {
    std::string file;  // it was read from

    /// Mobile IPv4 (Part S2). Then everything of IPv6 below is unused: of this file only
    /// interfaces, tunnel, lab, status_socket, state_file and log_level hold.
    std::optional<Mip4Config> mobile_ipv4;

    Ipv6Address home_address;
    Ipv6Prefix home_prefix;  // masked
    Ipv6Address home_agent;
    /// Of the home agent, in order of preference; empty: no IPv4 care-of addresses.
    std::vector<Ipv4Address> home_agent_ipv4;
    std::optional<Ipv4Address> ipv4_home_address;  // 0.0.0.0: dynamic

    /// Access interfaces in order of preference; empty: all but loopback and the TUN device.
    std::vector<std::string> interfaces;
    /// An interface that is on the home link whatever its addresses say.
    std::string home_interface;

    std::optional<SaPair> binding_update;      // security.bu; missing only with lab.unprotected
    std::optional<SaPair> prefix_discovery;    // security.mps: table S1-SPD entry 3
    std::optional<SaPair> return_routability;  // security.rr: entry 4, tunnel mode
    std::optional<SaPair> correspondent;       // security.cn: entry 4c, tunnel mode
    std::optional<SaPair> payload;             // security.payload: entry 6, tunnel mode
    bool lab_static_gcm = false;
    bool lab_unprotected = false;  // BU and BA without ESP

    std::chrono::seconds lifetime{420};  // asked for: 4..262140
    std::chrono::milliseconds first_registration_timeout{1500};
    bool keep_binding_on_exit = false;

    SplitConfig signalling;
    DualStackConfig dual_stack;
    RouteOptimisationConfig route_optimisation;
    MobileRouterConfig mobile_router;
    TunnelConfig tunnel;
    std::string status_socket{kDefaultStatusSocket};
    /// Sequence numbers of SAs and binding updates go on from here after a restart; empty: not
    /// kept.
    std::string state_file;
    config::LogLevel log_level = config::LogLevel::kInfo;

    friend bool operator==(const Config&, const Config&) = default;
};

/// Reads `text`; `file` is the name that errors give, and relative paths in the text count from its
/// directory. Gives all errors of the text, in the order of their lines.
[[nodiscard]] std::expected<Config, config::ConfigErrors> parse(std::string_view text,
                                                                std::string_view file);

/// Reads a file of at most 1 MiB.
[[nodiscard]] std::expected<Config, config::ConfigErrors> load_file(
    const std::filesystem::path& file);

/// The keys, comma separated, that differ between two configurations and that only a restart can
/// bring into force; empty: reload will do.
[[nodiscard]] std::string needs_restart(const Config& old_config, const Config& new_config);

}  // namespace homeport::mobile_node
