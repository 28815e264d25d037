// SPDX-License-Identifier: BSD-3-Clause
// Puts extension headers into an IPv6 packet and takes them out, and reads destination options the
// way their destination has to (RFC 8200 section 4).
#pragma once

#include <cstdint>

#include "dataplane/base/byte_order.hpp"
#include "dataplane/base/packet.hpp"
#include "dataplane/parse/header_walk.hpp"

namespace homeport::tunnel {

using Packet = homeport::Packet;

/// A place between two headers of a packet.
struct Place {
    std::uint16_t offset = 0;       // octets from the IP header
    std::uint16_t name_offset = 0;  // of the octet that names what stands at `offset`
};

/// Makes room for `length` octets, a multiple of 8, at `place`, by moving what stands before it
/// towards the headroom; the header there gets next header `type`, and the octet at the place the
/// next header that was there. The rest of the new header is for the caller to write. False: no
/// room, nothing changed.
[[nodiscard]] bool insert_extension_header(Packet& packet, const Place& place, std::uint16_t length,
                                           std::uint8_t type);

/// Takes out the extension header of `length` octets at `place`.
void remove_extension_header(Packet& packet, const Place& place, std::uint16_t length);

/// What the destination of a packet has to do about the options in it.
struct OptionsReport {
    enum class Action : std::uint8_t {
        kAccept,
        kMalformed,         // parse.header
        kBadHomeAddress,    // mip6.hao.bad
        kDiscard,           // unknown option that says so (type bits 01)
        kParameterProblem,  // unknown option, code 2 to the source (type bits 10, 11)
    };
    Action action = Action::kAccept;
    std::uint16_t pointer = 0;  // kParameterProblem: of the option type, from the IP header
    // With a Home Address option:
    bool has_home_address = false;
    bool alone = false;               // nothing but padding beside it in its header
    std::uint16_t option_offset = 0;  // of its option type, from the IP header
    std::uint16_t header_length = 0;  // of the destination options header that holds it
    Place header;
};

/// Looks at all hop-by-hop and destination options of a packet that parse::walk() accepted. The
/// Home Address option may have any alignment, must be 16 octets long, must not be there twice, and
/// its address must be unicast routable (RFC 6275 sections 6.3 and 9.3.1).
[[nodiscard]] OptionsReport examine_options(ConstByteSpan packet);

}  // namespace homeport::tunnel
