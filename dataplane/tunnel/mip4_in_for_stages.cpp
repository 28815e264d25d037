// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/tunnel/mip4_in_for_stages.hpp"

#include "dataplane/base/checksum.hpp"
#include "dataplane/tunnel/mip4_headers_for_stages.hpp"
#include "dataplane/tunnel/support_for_stages.hpp"

namespace homeport::tunnel {

using channel::Counter;
using channel::Encapsulation;
using stage::PacketMeta;

namespace {

constexpr std::uint8_t kEchoReply = 0;
constexpr std::uint8_t kEchoRequest = 8;

Ipv4Header& ipv4_of(rte_mbuf* packet) {
    return *reinterpret_cast<Ipv4Header*>(stage::data(packet));
}

bool is_of_outer(const table::Binding& binding, const Mip4Arrival& arrival) {
    const Ipv4Header& outer = arrival.outer();
    if (table::v4_of(binding.care_of_address) != outer.source ||
        table::v4_of(binding.home_agent_address) != outer.destination) {
        return false;
    }
    return !arrival.in_udp || binding.udp_port == arrival.port ||
           (binding.flags & channel::kBindingHalfBound) != 0;
}

/// The upper layer of the inner packet: offset from the start of the data, and octets.
struct InnerUpper {
    std::uint8_t protocol = 0;
    bool is_fragment = false;
    std::uint32_t offset = 0;
};
InnerUpper upper_of(const Mip4Arrival& arrival) {
    if (arrival.minimal.length != 0) {
        return {arrival.minimal.protocol, false,
                std::uint32_t{arrival.offset} + arrival.minimal.length};
    }
    const Ipv4Header& inner = arrival.inner();
    return {inner.protocol, inner.is_fragment(),
            std::uint32_t{arrival.offset} + inner.header_length()};
}

}  // namespace

Counter counter_of(GreError error) {
    switch (error) {
        case GreError::kFlags:
            return Counter::kGreBadFlags;
        case GreError::kVersion:
            return Counter::kGreVersion;
        case GreError::kProtocol:
            return Counter::kGreProtocol;
        case GreError::kChecksum:
            return Counter::kGreChecksum;
        case GreError::kTruncated:
        case GreError::kNone:
            break;
    }
    return Counter::kTunInMalformed;
}

bool is_mip4_message(int type) {
    constexpr int kRegistrationRequest = 1;
    constexpr int kRegistrationReply = 3;
    constexpr int kRevocation = 7;
    constexpr int kRevocationAcknowledgement = 15;
    return type == kRegistrationRequest || type == kRegistrationReply || type == kRevocation ||
           type == kRevocationAcknowledgement;
}

std::uint32_t binding_of_outer(const table::Tables& tables, const Mip4Arrival& arrival,
                               std::uint32_t slot) {
    const table::Binding& first = tables.bindings.at(slot);
    if (is_of_outer(first, arrival)) [[likely]]
        return slot;
    std::uint32_t found = table::kNoSlot;
    for_each_copy(tables, first, [&](std::uint32_t other, const table::Binding& binding) {
        if (found == table::kNoSlot && is_of_outer(binding, arrival)) found = other;
    });
    return found;
}

bool is_agreed_form(const Mip4Arrival& arrival, const table::Binding& binding) {
    if (arrival.form == binding.encapsulation) [[likely]]
        return true;
    const bool instead_of_minimal = (binding.encapsulation == Encapsulation::kMinimal &&
                                     arrival.form == Encapsulation::kIpv4) ||
                                    (binding.encapsulation == Encapsulation::kMipUdpMinimal &&
                                     arrival.form == Encapsulation::kMipUdp);
    return instead_of_minimal && arrival.inner().is_fragment();
}

bool is_keepalive(const Mip4Arrival& arrival, const table::Binding& binding) {
    const InnerUpper upper = upper_of(arrival);
    return upper.protocol == number(IpProtocol::kIcmp) && !upper.is_fragment &&
           upper.offset < stage::length(arrival.packet) &&
           stage::data(arrival.packet)[upper.offset] == kEchoRequest &&
           arrival.inner_destination() == table::v4_of(binding.home_agent_address);
}

bool is_sound_echo(rte_mbuf* packet) {
    const Ipv4Header& ip = ipv4_of(packet);
    const ConstByteSpan bytes = bytes_of(packet);
    const std::uint32_t header = ip.header_length();
    if (bytes.size() < header + sizeof(IcmpHeader)) return false;
    return internet_checksum(bytes.first(header)) == 0 &&
           internet_checksum(bytes.subspan(header)) == 0;
}

void make_echo_reply(rte_mbuf* packet, std::uint8_t ttl) {
    Ipv4Header& ip = ipv4_of(packet);
    std::swap(ip.source, ip.destination);
    ip.ttl = ttl;
    ip.checksum = Be16(0);
    ip.checksum = Be16(internet_checksum(bytes_of(packet).first(ip.header_length())));
    auto& icmp = *reinterpret_cast<IcmpHeader*>(stage::data(packet) + ip.header_length());
    const std::uint16_t before = load_be16(&icmp.type);
    icmp.type = kEchoReply;
    icmp.checksum = Be16(checksum_update(icmp.checksum.host(), before, load_be16(&icmp.type)));
}

void strip_outer_headers(const Mip4Arrival& arrival) {
    rte_mbuf* const packet = arrival.packet;
    if (arrival.minimal.length == 0) {
        cut_front(packet, arrival.offset);
        set_length(packet, arrival.length);
    } else {
        ipsec::Packet view = view_of(packet);
        undo_minimal(view, arrival.offset, arrival.minimal);
        apply(view, packet);
    }
    const Ipv4Header& ip = ipv4_of(packet);
    PacketMeta& notes = stage::meta(packet);
    notes.family = 4;
    notes.protocol = ip.protocol;
    notes.upper_offset = ip.header_length();
    notes.flags &= static_cast<std::uint16_t>(~stage::kMetaL2Intact);
}

void note_tunnel_end(PacketMeta& notes, const Ipv4Address& address, std::uint16_t port) {
    notes.adjacency = address.host();
    notes.parameter = port;
}

}  // namespace homeport::tunnel
