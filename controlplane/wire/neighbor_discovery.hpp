// SPDX-License-Identifier: BSD-3-Clause
// Neighbor discovery messages and options (RFC 4861; RFC 6275 section 7).
#pragma once

#include <cstdint>
#include <variant>
#include <vector>

#include "dataplane/base/address.hpp"
#include "dataplane/base/byte_order.hpp"

namespace homeport::wire {

/// Type 1.
struct SourceLinkLayerAddress {
    MacAddress address{};
    friend bool operator==(const SourceLinkLayerAddress&, const SourceLinkLayerAddress&) = default;
};
/// Type 2.
struct TargetLinkLayerAddress {
    MacAddress address{};
    friend bool operator==(const TargetLinkLayerAddress&, const TargetLinkLayerAddress&) = default;
};
/// Type 3. Lifetimes in seconds, all ones: infinite.
struct PrefixInformation {
    std::uint8_t prefix_length = 64;
    bool on_link = false;         // L
    bool autonomous = false;      // A
    bool router_address = false;  // R (RFC 6275 7.2): `prefix` is a whole address of the router
    std::uint32_t valid_lifetime = 0;
    std::uint32_t preferred_lifetime = 0;
    Ipv6Address prefix{};
    friend bool operator==(const PrefixInformation&, const PrefixInformation&) = default;
};
/// Type 5.
struct MtuOption {
    std::uint32_t mtu = 0;
    friend bool operator==(const MtuOption&, const MtuOption&) = default;
};
/// Type 7 (RFC 6275 7.3), milliseconds.
struct AdvertisementInterval {
    std::uint32_t milliseconds = 0;
    friend bool operator==(const AdvertisementInterval&, const AdvertisementInterval&) = default;
};
/// Type 8 (RFC 6275 7.4; R bit RFC 3963 7.2). Lifetime in seconds, not 0 on the wire.
struct HomeAgentInformation {
    bool mobile_routers = false;
    std::uint16_t preference = 0;
    std::uint16_t lifetime = 0;
    friend bool operator==(const HomeAgentInformation&, const HomeAgentInformation&) = default;
};
/// Any other type; `data` excludes type and length and has 8n-2 octets.
struct UnknownNdOption {
    std::uint8_t type = 0;
    std::vector<std::uint8_t> data{};
    friend bool operator==(const UnknownNdOption&, const UnknownNdOption&) = default;
};
using NdOption =
    std::variant<SourceLinkLayerAddress, TargetLinkLayerAddress, PrefixInformation, MtuOption,
                 AdvertisementInterval, HomeAgentInformation, UnknownNdOption>;
using NdOptions = std::vector<NdOption>;

template <class T>
[[nodiscard]] const T* find_option(const NdOptions& options) {
    for (const NdOption& option : options) {
        if (const T* found = std::get_if<T>(&option)) return found;
    }
    return nullptr;
}

struct RouterSolicitation {
    NdOptions options{};
    friend bool operator==(const RouterSolicitation&, const RouterSolicitation&) = default;
};
struct RouterAdvertisement {
    std::uint8_t hop_limit = 0;
    bool managed = false;               // M
    bool other_configuration = false;   // O
    bool home_agent = false;            // H (RFC 6275 7.1)
    std::uint16_t router_lifetime = 0;  // seconds
    std::uint32_t reachable_time = 0;   // milliseconds
    std::uint32_t retrans_timer = 0;    // milliseconds
    NdOptions options{};
    friend bool operator==(const RouterAdvertisement&, const RouterAdvertisement&) = default;
};
struct NeighborSolicitation {
    Ipv6Address target{};
    NdOptions options{};
    friend bool operator==(const NeighborSolicitation&, const NeighborSolicitation&) = default;
};
struct NeighborAdvertisement {
    bool router = false;          // R
    bool solicited = false;       // S
    bool override_entry = false;  // O
    Ipv6Address target{};
    NdOptions options{};
    friend bool operator==(const NeighborAdvertisement&, const NeighborAdvertisement&) = default;
};

/// Appends `options`, each a multiple of 8 octets.
void append_nd_options(std::vector<std::uint8_t>& message, const NdOptions& options);
/// Reads options up to the end of `bytes`; false if one has length 0, a wrong length, or overruns.
[[nodiscard]] bool read_nd_options(ConstByteSpan bytes, NdOptions& options);

// What a home agent and a mobile node send on a link: whole packets, hop limit 255.

/// The probe of duplicate address detection (RFC 4862 5.4.2): from :: to the solicited-node group.
[[nodiscard]] std::vector<std::uint8_t> dad_probe(const Ipv6Address& target);
/// Solicitation of `target` from `source`; to the solicited-node group, with our link address.
[[nodiscard]] std::vector<std::uint8_t> neighbor_solicitation(const Ipv6Address& source,
                                                              const MacAddress& source_link,
                                                              const Ipv6Address& target);
/// Unsolicited advertisement to all nodes, S=0, O=1 (RFC 6275 10.4.1, 11.5.5): `target` is at
/// `link_address`. `source` is the sender's own address on the link.
[[nodiscard]] std::vector<std::uint8_t> unsolicited_advertisement(const Ipv6Address& source,
                                                                  const Ipv6Address& target,
                                                                  const MacAddress& link_address,
                                                                  bool router);
/// The proxy's answer to a solicitation (RFC 4861 7.2.8): S=1, O=0; to a probe from :: it goes to
/// all nodes with S=0.
[[nodiscard]] std::vector<std::uint8_t> proxy_advertisement(const Ipv6Address& source,
                                                            const Ipv6Address& solicitor,
                                                            const Ipv6Address& target,
                                                            const MacAddress& link_address,
                                                            bool router);

}  // namespace homeport::wire
