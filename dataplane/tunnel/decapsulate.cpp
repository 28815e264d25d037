// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/tunnel/decapsulate.hpp"

namespace homeport::tunnel {

DecapsulateError decapsulate(Packet& packet, std::uint16_t inner_offset, std::uint8_t protocol) {
    if (inner_offset < sizeof(Ipv4Header) || packet.length < inner_offset) {
        return DecapsulateError::kMalformed;
    }
    const Inner inner = peek_inner(packet.bytes().subspan(inner_offset), protocol);
    if (inner.family == 0) return DecapsulateError::kMalformed;
    if (!carry_ecn_inwards(packet.data + inner_offset, traffic_class_of(packet.data))) {
        return DecapsulateError::kEcn;
    }
    packet.cut_front(inner_offset);
    packet.set_length(inner.length);
    return DecapsulateError::kNone;
}

}  // namespace homeport::tunnel
