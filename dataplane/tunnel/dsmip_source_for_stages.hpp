// SPDX-License-Identifier: BSD-3-Clause
// What the stages before and behind IPsec share about packets that came over IPv4 or UDP: P9i,
// P10i, P13i, P15. Not for others.
#pragma once

#include <rte_mbuf.h>

#include <cstdint>
#include <optional>

#include "dataplane/stage/stage.hpp"
#include "dataplane/stage/worker.hpp"
#include "dataplane/table/tables.hpp"

namespace homeport::tunnel {

/// For tunnel-in, `parameter` of a packet's notes: 0, or this and the UDP source port.
inline constexpr std::uint32_t kCameInUdp = 0x10000;

/// Whether tunnel-in has to ask outer_is_of() about a packet, instead of comparing addresses.
[[nodiscard]] inline bool came_by_dsmip(const stage::PacketMeta& notes) {
    return notes.family != 6 || notes.parameter != 0;
}

/// Whether the outer source, and the port if there is one, is the one of `binding`, and its form
/// one that was agreed on (mipv6.md section 5.3 rule 7: without NAT both).
[[nodiscard]] bool outer_is_of(const table::Binding& binding, rte_mbuf* packet,
                               const stage::PacketMeta& notes);

/// Where a sealed packet came from, noted before IPsec and looked at again when the call that
/// opened this one packet, and no other, has returned: nothing goes through IPsec with it (S1.9),
/// and there is never more than one (S1.66, S1.67). It changes nothing until the packet proved
/// authentic (S1.68).
struct SealedSource {
    std::uint32_t slot =
        channel::kNoIndex;  // of the binding of the home address that the SA is for
    std::optional<table::ReturnPaths::EspMapping> mapping;  // nothing: in IPv4 without UDP
};
/// Into the notes of a packet for ipsec-in (kMetaNewSource).
void note_sealed_source(stage::PacketMeta& notes, const SealedSource& source);
[[nodiscard]] SealedSource noted_sealed_source(const stage::PacketMeta& notes);
/// The packet was authentic: answers go there from now on, and the control plane is told.
void learn_sealed_source(stage::Worker& worker, const SealedSource& source);

}  // namespace homeport::tunnel
