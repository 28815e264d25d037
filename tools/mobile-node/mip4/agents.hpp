// SPDX-License-Identifier: BSD-3-Clause
// The foreign agent of one link, as its advertisements say (RFC 5944 section 2.4). Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "controlplane/mip4/binding.hpp"
#include "controlplane/wire/mip4_agent_discovery.hpp"
#include "dataplane/base/address.hpp"

namespace homeport::mobile_node {

class LinkAgent {
  public:
    struct Agent {
        Ipv4Address address;  // it is asked here
        MacAddress mac;
        Ipv4Address care_of_address;
        std::uint16_t most_lifetime = 0xffff;  // seconds
        bool required = false;                 // R: also with an address of our own
        std::uint16_t sequence = 0;
        std::vector<wire::AgentExtension> extensions{};  // of types 128 to 255
        /// What the extension of this type has; empty: there is none.
        [[nodiscard]] ConstByteSpan extension(std::uint8_t type) const;
        mip4::TimePoint until{};
    };
    static constexpr unsigned kSolicitations = 3;

    /// An advertisement that came from `mac`. True: where we are has changed by it: another agent,
    /// another care-of address, or a restart that forgot us (section 2.4.4).
    [[nodiscard]] bool take(const wire::AgentDiscoveryPacket& packet, const MacAddress& mac,
                            mip4::TimePoint now);
    /// The one that is heard at present.
    [[nodiscard]] const Agent* current(mip4::TimePoint now) const;
    /// The link came or went.
    void reset(mip4::TimePoint now);

    /// Whether to solicit now; counts as done. Only without an agent, a few times a second apart
    /// (section 2.4).
    [[nodiscard]] bool solicits(mip4::TimePoint now);
    [[nodiscard]] std::optional<mip4::TimePoint> next_deadline(mip4::TimePoint now) const;

  private:
    std::optional<Agent> agent_;
    unsigned solicited_ = kSolicitations;
    mip4::TimePoint next_solicitation_{};
};

}  // namespace homeport::mobile_node
