// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/tunnel/nat_detection.hpp"

#include "dataplane/base/ip_header.hpp"
#include "dataplane/parse/header_walk.hpp"

namespace homeport::tunnel {

namespace {

constexpr std::uint8_t kBindingUpdate = 5;  // Mobility Header type

}  // namespace

std::optional<UdpSignalling> read_udp_signalling(ConstByteSpan inner) {
    if (inner.empty() || inner[0] >> 4 != 6) return std::nullopt;
    parse::Headers headers;
    if (parse::walk(inner, headers) != parse::Error::kNone) return std::nullopt;
    if (headers.protocol != number(IpProtocol::kEsp) &&
        headers.protocol != number(IpProtocol::kMobility)) {
        return std::nullopt;
    }
    // Nobody sends these with signalling; the data path knows what to do about them.
    if (headers.has(parse::kRoutingHeader) || headers.has(parse::kAtomicFragment)) {
        return std::nullopt;
    }
    const auto& ip = *reinterpret_cast<const Ipv6Header*>(inner.data());
    UdpSignalling packet{.protocol = headers.protocol,
                         .upper_offset = headers.upper_offset,
                         .length = headers.end,
                         .source = ip.source,
                         .destination = ip.destination,
                         .options = {}};
    if (headers.upper_offset == sizeof(Ipv6Header)) return packet;
    packet.options = examine_options(inner.first(headers.end));
    if (packet.options.action == OptionsReport::Action::kAccept &&
        packet.options.has_home_address) {
        packet.source = Ipv6Address::load(inner.data() + packet.options.option_offset + 2);
    }
    return packet;
}

bool may_carry_binding_update(const ipsec::SelectorAnswer& selectors) {
    if (selectors.mode != ipsec::Mode::kTransport) return false;
    using Kind = ipsec::ProtocolSelector::Kind;
    if (selectors.protocol.kind == Kind::kAny) return true;
    return selectors.protocol.kind == Kind::kNumber &&
           selectors.protocol.number == number(IpProtocol::kMobility) &&
           selectors.may_receive(kBindingUpdate);
}

SourceJudgement judge_source(const UdpSignalling& packet, std::uint32_t spi,
                             const ipsec::Queries* queries) {
    if (queries == nullptr) return {SourceRule::kRecordIfElsewhere, packet.source};
    // Without ESP (in a laboratory) there is no SA to ask about.
    if (packet.protocol != number(IpProtocol::kEsp)) return {SourceRule::kRecord, packet.source};
    const auto selectors = queries->selectors_for_spi(ipsec::Spi{spi});
    if (!selectors || selectors->mode == ipsec::Mode::kTunnel) return {SourceRule::kNone, {}};
    // An SA for more than one node names none: then IPsec holds the packet's own address.
    const auto remote = selectors->remote_address();
    const auto* const named = remote ? std::get_if<Ipv6Address>(&*remote) : nullptr;
    const Ipv6Address& home_address = named != nullptr ? *named : packet.source;
    return {
        may_carry_binding_update(*selectors) ? SourceRule::kRecord : SourceRule::kRequireBinding,
        home_address};
}

}  // namespace homeport::tunnel
