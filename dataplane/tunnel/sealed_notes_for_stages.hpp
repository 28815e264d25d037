// SPDX-License-Identifier: BSD-3-Clause
// What ipsec-out notes of nearly every packet that it sealed: bare ESP in an IPv6 header. It is
// read from the packet alone (S1.9), so tunnel-out may take the notes at their word. Not for
// others.
#pragma once

#include <bit>
#include <cstring>

#include "dataplane/base/ip_header.hpp"
#include "dataplane/stage/stage.hpp"

namespace homeport::tunnel {

/// The first eight octets of such notes, to be written and compared as one word.
struct BareEspNotes {
    std::uint8_t family = 6;
    std::uint8_t protocol = number(IpProtocol::kEsp);
    std::uint16_t flags = stage::kMetaPolicyChecked | stage::kMetaOriginated;
    std::uint16_t upper_offset = sizeof(Ipv6Header);
    std::uint16_t in_port = channel::kNoPort;
};
static_assert(offsetof(BareEspNotes, flags) == offsetof(stage::PacketMeta, flags) &&
              offsetof(BareEspNotes, upper_offset) == offsetof(stage::PacketMeta, upper_offset) &&
              offsetof(BareEspNotes, in_port) == offsetof(stage::PacketMeta, in_port) &&
              sizeof(BareEspNotes) == offsetof(stage::PacketMeta, adjacency));
inline constexpr auto kBareEspNotes = std::bit_cast<std::uint64_t>(BareEspNotes{});

[[nodiscard]] inline bool is_bare_esp(const std::uint8_t* ip) {
    return ip[0] >> 4 == 6 && ip[offsetof(Ipv6Header, next_header)] == number(IpProtocol::kEsp);
}

/// Writes the notes of such a packet anew, in few wide stores; what is the driver's stays.
inline void note_bare_esp(stage::PacketMeta& notes) {
    struct Start {
        std::uint64_t first;
        std::uint32_t adjacency;
        std::uint32_t binding;
    };
    static_assert(sizeof(Start) == offsetof(stage::PacketMeta, parameter));
    constexpr Start kStart{kBareEspNotes, channel::kNoIndex, channel::kNoIndex};
    std::memcpy(&notes, &kStart, sizeof kStart);
    notes.parameter = 0;
    notes.reason = 0;
    notes.code = 0;
    notes.resume = 0;
    notes.drop = 0;
}

/// They are still as note_bare_esp() left them, but perhaps for the binding.
[[nodiscard]] inline bool are_of_bare_esp(const stage::PacketMeta& notes) {
    std::uint64_t first;
    std::memcpy(&first, &notes, sizeof first);
    return first == kBareEspNotes;
}

}  // namespace homeport::tunnel
