// SPDX-License-Identifier: BSD-3-Clause
// What a security association is made from.
//
// Use: fill it in, SecurityAssociationDatabase::add() it. The keys are wiped with it.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "dataplane/ipsec/key.hpp"
#include "dataplane/ipsec/policy.hpp"
#include "dataplane/ipsec/spi.hpp"

namespace homeport::ipsec {

/// An entry of the SPD that an SA belongs to. For an outbound SA this makes the SPD-S cache entry
/// that leads to it; for an inbound SA it is what selectors_for_spi() tells.
struct PolicyUse {
    PolicyId policy = 0;
    /// The remote address, for an entry with populate_remote; nothing for others.
    std::optional<IpAddress> remote;

    friend bool operator==(const PolicyUse&, const PolicyUse&) = default;
};

/// 0 means no limit. Soft: an event. Hard: the SA is not used any more. Octets count whole packets
/// as they are before sealing or after opening; seconds count from SaParameters::born and are
/// looked at by SecurityAssociationDatabase::look_at_age().
struct Lifetime {
    std::uint64_t soft_bytes = 0;
    std::uint64_t hard_bytes = 0;
    std::uint64_t soft_packets = 0;
    std::uint64_t hard_packets = 0;
    std::uint32_t soft_seconds = 0;
    std::uint32_t hard_seconds = 0;

    friend bool operator==(const Lifetime&, const Lifetime&) = default;
};

/// The DF bit of an IPv4 tunnel header (RFC 4301 section 8.1). kCopy sets it for IPv6 inside.
enum class DontFragment : std::uint8_t { kCopy, kSet, kClear };

inline constexpr std::uint16_t kMinReplayWindow = 64;
inline constexpr std::uint16_t kMaxReplayWindow = 4096;

struct SaParameters {
    Direction direction = Direction::kInbound;
    Spi spi;
    Algorithm algorithm = Algorithm::kAes128Gcm16;
    SecretBytes encryption_key;  ///< for AEAD with the salt behind it; empty for NULL
    SecretBytes integrity_key;   ///< empty for AEAD
    Mode mode = Mode::kTransport;
    /// Outer addresses; both needed for an outbound tunnel mode SA, of one family. An inbound SA
    /// does not check the outer header, so it needs none.
    std::optional<IpAddress> tunnel_local;
    std::optional<IpAddress> tunnel_remote;
    bool esn = false;
    /// kMinReplayWindow..kMaxReplayWindow, or 0: no replay check. Inbound only.
    std::uint16_t replay_window = 1024;
    /// Inbound: what may come out of the SA; at least one.
    std::vector<Selectors> selectors;
    std::vector<PolicyUse> policies;
    Lifetime lifetime;
    std::uint64_t born = 0;  ///< seconds of any clock; look_at_age() is told the time of the same
    /// Outbound: number of the first packet. Inbound: lowest number accepted. More than 1 for an SA
    /// that is restored: it goes on beyond the highest number that can have been used.
    std::uint64_t first_sequence = 1;
    /// The key does not come from a key exchange that makes a fresh one for each SA.
    bool static_key = false;
    std::uint8_t owner = 0;       ///< the worker that alone seals and opens with this SA
    std::uint8_t hop_limit = 64;  ///< hop limit or TTL of the tunnel header
    bool copy_dscp = true;        ///< DSCP of the tunnel header: the inner one, or fixed_dscp
    std::uint8_t fixed_dscp = 0;  ///< 0..63
    DontFragment dont_fragment = DontFragment::kCopy;
    std::uint16_t path_mtu = 0;  ///< outbound: largest sealed packet, 0: no limit
};

}  // namespace homeport::ipsec
