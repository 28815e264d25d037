// SPDX-License-Identifier: BSD-3-Clause
// Extension headers of what is addressed to this host.
#include "dataplane/tunnel/classification.hpp"
#include "dataplane/tunnel/extension_headers.hpp"
#include "dataplane/tunnel/routing_header.hpp"

namespace homeport::tunnel {

using channel::Counter;
using stage::IcmpErrorKind;
using stage::PacketMeta;

/// True: the packet is given away. Otherwise its notes are those of a packet whose extension
/// headers are all in order.
bool Classification::settle_extension_headers(rte_mbuf* packet, PacketMeta& notes,
                                              const table::LocalAddress& local) {
    parse::Headers headers;
    if (parse::walk(bytes_of(packet), headers) != parse::Error::kNone) [[unlikely]] {
        out_.drop(packet, Counter::kParseHeader);
        return true;
    }
    if (headers.has(parse::kFragment)) {
        give(local.is_home_agent_address != 0 ? ClassifyEdge::kReassemble : ClassifyEdge::kToKernel,
             packet);
        return true;
    }
    if (headers.has(parse::kRoutingHeader) && headers.segments_left != 0) {
        return settle_routing_header(packet, headers);
    }
    if (headers.has(parse::kAtomicFragment) && local.is_home_agent_address != 0) {
        ipsec::Packet view = view_of(packet);
        remove_extension_header(view,
                                {headers.fragment_header_offset, headers.fragment_name_offset},
                                sizeof(FragmentHeader));
        apply(view, packet);
        notes.upper_offset = static_cast<std::uint16_t>(notes.upper_offset - 8);
        notes.flags &= static_cast<std::uint16_t>(~stage::kMetaL2Intact);
    }
    if (headers.has(parse::kDestinationOptions) || headers.has(parse::kHopByHopOptions)) {
        return settle_options(packet, notes);
    }
    return false;
}

/// RFC 6275 section 6.4: we are nobody's way point. Other routing headers are the kernel's, which
/// answers RFC 5095 and RFC 8200 section 4.4.
bool Classification::settle_routing_header(rte_mbuf* packet, const parse::Headers& headers) {
    if (headers.routing_type == kType2) {
        const std::uint8_t* const address = type2_address(bytes_of(packet), headers);
        if (address == nullptr || !is_own(worker_, Ipv6Address::load(address))) {
            out_.drop(packet, Counter::kMip6Rh2Bad);
            return true;
        }
    }
    give(ClassifyEdge::kToKernel, packet);
    return true;
}

bool Classification::settle_options(rte_mbuf* packet, const PacketMeta& notes) {
    const OptionsReport report = examine_options(bytes_of(packet));
    // Upper layers of the kernel are its own business, but it knows nothing of home addresses.
    const bool kernels = notes.protocol != number(IpProtocol::kEsp) &&
                         notes.protocol != number(IpProtocol::kMobility) &&
                         notes.protocol != number(IpProtocol::kIpv6) &&
                         notes.protocol != number(IpProtocol::kIpv4);
    switch (report.action) {
        case OptionsReport::Action::kAccept:
            if (!report.has_home_address) return false;
            if (notes.protocol == number(IpProtocol::kEsp) &&
                hand_to_owner(packet, stage::kMetaSignalling)) {
                return true;
            }
            give(ClassifyEdge::kHomeAddress, packet);
            return true;
        case OptionsReport::Action::kBadHomeAddress:
            out_.drop(packet, Counter::kMip6HaoBad);
            return true;
        case OptionsReport::Action::kMalformed:
        case OptionsReport::Action::kDiscard:
            if (kernels) return false;
            out_.drop(packet, Counter::kParseHeader);
            return true;
        case OptionsReport::Action::kParameterProblem:
            if (kernels) return false;
            note_icmp_error(packet, IcmpErrorKind::kParameterProblem, Counter::kParseHeader,
                            report.pointer, 2);
            give(ClassifyEdge::kIcmpError, packet);
            return true;
    }
    return false;
}

}  // namespace homeport::tunnel
