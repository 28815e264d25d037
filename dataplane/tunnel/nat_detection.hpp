// SPDX-License-Identifier: BSD-3-Clause
// What is inside UDP 4191 and may be a binding update (P11), and what its outer source is good for
// before IPsec has said what it is (S1.60 to S1.65).
//
// Use: read_udp_signalling() says whether a packet takes path P11; judge_source() what to do about
// its outer source, by either technique. Nothing here keeps anything: records are OneShotRecords.
#pragma once

#include <cstdint>
#include <optional>

#include "dataplane/base/address.hpp"
#include "dataplane/base/byte_order.hpp"
#include "dataplane/ipsec/queries.hpp"
#include "dataplane/tunnel/extension_headers.hpp"

namespace homeport::tunnel {

/// An IPv6 packet that IPsec has to judge before it is known to be signalling. Offsets are octets
/// from its IPv6 header.
struct UdpSignalling {
    std::uint8_t protocol = 0;  // ESP, or a Mobility Header that is not protected
    std::uint16_t upper_offset = 0;
    std::uint16_t length = 0;
    Ipv6Address source;       // in normal form: of the Home Address option, if there is one
    Ipv6Address destination;  // who decides whether it is ours is the caller
    OptionsReport options;    // an action other than kAccept: the packet is to be dropped
};
/// `inner`: what is inside UDP, with or without octets behind its end. Nothing: it is data (P10),
/// or malformed.
[[nodiscard]] std::optional<UdpSignalling> read_udp_signalling(ConstByteSpan inner);

/// What becomes of the outer source of such a packet.
enum class SourceRule : std::uint8_t {
    kNone,               // payload under ESP: nothing is recorded, nothing compared (P13i)
    kRecord,             // for `home_address`, whatever address the packet says (S1.62)
    kRecordIfElsewhere,  // unless it is the binding's of `home_address` (S1.65)
    kRequireBinding,     // must be the binding's of `home_address` (P7)
};
struct SourceJudgement {
    SourceRule rule = SourceRule::kNone;
    Ipv6Address home_address;
};
/// `queries` for technique A, null for technique B. `spi`: of a packet that is ESP.
[[nodiscard]] SourceJudgement judge_source(const UdpSignalling& packet, std::uint32_t spi,
                                           const ipsec::Queries* queries);

/// Whether packets of an SA with these selectors may be binding updates (S1.63).
[[nodiscard]] bool may_carry_binding_update(const ipsec::SelectorAnswer& selectors);

}  // namespace homeport::tunnel
