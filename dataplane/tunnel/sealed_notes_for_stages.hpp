// SPDX-License-Identifier: BSD-3-Clause
// What ipsec-out notes of nearly every packet that it sealed: bare ESP in an IPv6 header. It is
// read from the packet alone (S1.9), so tunnel-out may take the notes at their word. Not for
// others.
#pragma once

#include <array>
#include <bit>
#include <cstring>

#include "dataplane/base/ip_header.hpp"
#include "dataplane/stage/stage.hpp"
#include "dataplane/table/binding_table.hpp"

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

/// Whether `packet` is one of IPv6 with ESP right behind the header, of which SPI and sequence
/// number are there.
[[nodiscard]] inline bool is_bare_esp(ConstByteSpan packet) {
    constexpr std::size_t kEspHeaderLength = 8;
    if (packet.size() < sizeof(Ipv6Header) + kEspHeaderLength) return false;
    constexpr std::array<std::uint8_t, 8> kMask{0xf0, 0, 0, 0, 0, 0, 0xff};
    constexpr std::array<std::uint8_t, 8> kEsp{0x60, 0, 0, 0, 0, 0, number(IpProtocol::kEsp)};
    static_assert(offsetof(Ipv6Header, next_header) == 6);
    std::uint64_t first;
    std::memcpy(&first, packet.data(), sizeof first);
    return (first & std::bit_cast<std::uint64_t>(kMask)) == std::bit_cast<std::uint64_t>(kEsp);
}

/// Writes the notes of such a packet anew, in few wide stores; what is the driver's stays, and
/// where express found the packet's binding: see GuessedBinding.
inline void note_bare_esp(stage::PacketMeta& notes) {
    static_assert(offsetof(stage::PacketMeta, adjacency) == sizeof kBareEspNotes);
    std::memcpy(&notes, &kBareEspNotes, sizeof kBareEspNotes);
    notes.adjacency = channel::kNoIndex;
    notes.reason = 0;
    notes.code = 0;
    notes.resume = 0;
    notes.drop = 0;
}

/// Where the binding of a packet's destination was found before IPsec, and what
/// BindingTable::changes() was then. Behind IPsec it is a guess, as nothing goes through IPsec
/// beside the octets (S1.9): it spares a look into the table if no binding went since, so that all
/// packets take the way that is right when they get it (S1.13), and if the binding there is that of
/// the destination that the packet has now.
struct GuessedBinding {
    /// `mark`: of changes() before the binding was looked for.
    static void note(stage::PacketMeta& notes, std::uint32_t slot, std::uint32_t mark) {
        notes.binding = slot;
        notes.parameter = mark;
    }
    /// Nothing is known of where it may be.
    static void forget(stage::PacketMeta& notes) {
        notes.binding = channel::kNoIndex;
        notes.parameter = 0;
    }
    /// A slot that may be read; kNoSlot: there is none. `mark`: of changes() now.
    [[nodiscard]] static std::uint32_t of(const stage::PacketMeta& notes, std::uint32_t mark) {
        static_assert(table::kNoSlot == channel::kNoIndex);
        return notes.parameter == mark ? notes.binding : table::kNoSlot;
    }
    /// Of a count that rose by less than 2^31 meanwhile. Neither 0 nor a small number, which others
    /// leave in the notes.
    [[nodiscard]] static std::uint32_t mark_of(std::uint64_t changes) {
        return static_cast<std::uint32_t>(changes) | 0x8000'0000;
    }
};

/// They are still as note_bare_esp() left them.
[[nodiscard]] inline bool are_of_bare_esp(const stage::PacketMeta& notes) {
    std::uint64_t first;
    std::memcpy(&first, &notes, sizeof first);
    return first == kBareEspNotes;
}

}  // namespace homeport::tunnel
