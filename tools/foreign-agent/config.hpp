// SPDX-License-Identifier: BSD-3-Clause
// homeport-fa.yaml, the configuration file of the foreign agent, as plain structs.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/mip4/authenticator.hpp"
#include "controlplane/mip4/foreign_agent_config.hpp"
#include "dataplane/base/address.hpp"
#include "dataplane/config/config.hpp"

namespace homeport::foreign_agent {

inline constexpr std::string_view kDefaultFile = "/etc/homeport/homeport-fa.yaml";
inline constexpr std::string_view kDefaultStatusSocket = "/run/homeport-fa.sock";

/// A link that mobile nodes visit.
struct LinkConfig {
    std::string interface;               // network device, at most 15 characters
    std::optional<Ipv4Address> address;  // ours there; none: the first of the device
    friend bool operator==(const LinkConfig&, const LinkConfig&) = default;
};

struct AdvertiseConfig {
    std::chrono::milliseconds min_interval{7500};
    std::chrono::milliseconds max_interval{10000};
    std::uint16_t lifetime = 30;  // seconds
    bool only_solicited = false;
    bool broadcast = false;      // to 255.255.255.255
    bool default_router = true;  // routes common traffic, and says so
    bool prefix_lengths = false;
    /// A name of this agent for mobile nodes that know which networks are inside (S2.75), in an
    /// extension of this type, 128..255; empty: none.
    std::string nai;
    std::uint8_t nai_extension = 131;
    friend bool operator==(const AdvertiseConfig&, const AdvertiseConfig&) = default;
};

/// A key, by the file that it is in.
struct KeyConfig {
    std::optional<Ipv4Address> address;  // of a home agent; home address of a mobile node
    std::string nai;                     // of a mobile node
    std::uint32_t spi = 256;
    mip4::Algorithm algorithm = mip4::Algorithm::kHmacMd5;
    std::string key_file;  // absolute
    friend bool operator==(const KeyConfig&, const KeyConfig&) = default;
};

struct Config {
    std::string file;  // it was read from
    Ipv4Address care_of_address{};
    std::vector<LinkConfig> links;
    AdvertiseConfig advertise;
    bool registration_required = false;  // flag R

    std::uint16_t max_lifetime = 600;  // seconds; 0xffff: infinite
    bool gre = true;
    bool minimal = true;
    mip4::ReverseTunnelPolicy reverse_tunnel = mip4::ReverseTunnelPolicy::kAvailable;
    bool encapsulating_delivery = true;
    bool co_located = true;
    mip4::ForeignUdpPolicy udp_tunnel = mip4::ForeignUdpPolicy::kNever;
    std::chrono::seconds keepalive{110};
    std::vector<Ipv4Prefix> home_agents;  // allowed; empty: all
    std::uint32_t max_visitors = 256;
    std::uint32_t max_pending = 64;
    std::chrono::seconds registration_timeout{7};
    bool revocation = true;
    bool notify_visitors = true;

    std::vector<KeyConfig> home_agent_keys;
    std::vector<KeyConfig> mobile_node_keys;

    std::uint32_t rule_priority = 434;  // of routing rules, one a visitor
    std::string status_socket{kDefaultStatusSocket};
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

}  // namespace homeport::foreign_agent
