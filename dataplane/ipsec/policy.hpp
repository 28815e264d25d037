// SPDX-License-Identifier: BSD-3-Clause
// Entries of the security policy database (RFC 4301 section 4.4.1), and the check of their order.
//
// Use: make a std::vector<PolicyEntry> in the order of the database and give it to
// SecurityPolicyDatabase::replace(). There is no interface selector (requirement S1.30).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/ipsec/algorithm.hpp"
#include "dataplane/ipsec/selector.hpp"

namespace homeport::ipsec {

/// Names an entry: chosen by whoever configures it, unique, stable when the order changes.
using PolicyId = std::uint16_t;
/// The nominal last entry, which discards.
inline constexpr PolicyId kNominalDiscard = 0xffff;

enum class Mode : std::uint8_t { kTransport, kTunnel };
enum class Action : std::uint8_t { kDiscard, kBypass, kProtect };

/// How SAs of a PROTECT entry look. The data path uses only the populate_remote flag; the rest is
/// what SAs made for the entry have, and is shown.
struct ProtectTemplate {
    Mode mode = Mode::kTransport;
    Algorithm algorithm = Algorithm::kAes128Gcm16;
    bool esn = false;
    /// PFP on the remote address: one SA (pair) for each remote address that the entry covers.
    bool populate_remote = false;
    std::optional<IpAddress> tunnel_local;
    /// Nothing in tunnel mode: the remote address of the packet (needs populate_remote).
    std::optional<IpAddress> tunnel_remote;
};

struct PolicyEntry {
    PolicyId id = 0;
    std::string name;  ///< for people
    Selectors selectors;
    Action action = Action::kDiscard;
    ProtectTemplate protect;  ///< only with Action::kProtect

    /// One line: id, name, selectors, action.
    [[nodiscard]] std::string to_string() const;
};

/// Two entries whose order is wrong, or probably wrong.
struct LintFinding {
    enum class Kind : std::uint8_t {
        kShadowed,  ///< an error: no packet ever reaches the later entry
        /// Part of the later entry's packets go to an earlier one with another action whose
        /// protocol or type is wider, as when a payload entry stands before a signalling entry.
        kOverlap,
    };
    Kind kind;
    PolicyId earlier;
    PolicyId later;
    std::string text;  ///< a sentence that names both
};

/// Checks the order of `entries` (requirement S1.32).
[[nodiscard]] std::vector<LintFinding> lint(const std::vector<PolicyEntry>& entries);

}  // namespace homeport::ipsec
