// SPDX-License-Identifier: BSD-3-Clause
#include <array>

#include "dataplane/forward/quoted_packet.hpp"
#include "dataplane/forward/stage_support.hpp"
#include "dataplane/forward/stages.hpp"

namespace homeport::forward {

namespace {

using channel::Counter;
using stage::Batch;
using stage::Edges;
using stage::IcmpErrorKind;
using stage::PacketMeta;
using stage::StageId;
using stage::Worker;

enum class IcmpErrorEdge : std::uint8_t { kSend };

/// The counter that the packet's notes name, if it is one for drops.
Counter drop_counter(const PacketMeta& notes) {
    if (notes.drop < channel::kCounterCount &&
        channel::kCounters[notes.drop].kind == channel::CounterKind::kDrop) {
        return static_cast<Counter>(notes.drop);
    }
    return Counter::kForwardUnreachable;
}

struct Subject {
    ConstByteSpan packet;
    std::uint8_t family;
    IcmpError error;
};

/// Who is told: of a packet that we put into a tunnel not we ourselves but the sender of what is
/// inside, to whom the tunnel is a link (RFC 2473 section 8).
/// `room`: for a header that has to be put together anew.
Subject subject_of(rte_mbuf* packet, const PacketMeta& notes,
                   std::array<std::uint8_t, kMostRestored>& room) {
    Subject subject{bytes_of(packet),
                    notes.family,
                    {static_cast<IcmpErrorKind>(notes.reason), notes.code, notes.parameter}};
    if (!has(notes, stage::kMetaEncapsulated)) return subject;
    if (subject.error.kind == IcmpErrorKind::kPacketTooBig && subject.family == 4) {
        // RFC 2003 section 5.1: a tunnel that is too narrow, further on in this box (S2.131).
        const QuotedPacket quoted = read_quote(subject.packet);
        const bool has_inner = quoted.kind == QuotedPacket::Kind::kTunnel &&
                               quoted.inner_family == 4 && notes.parameter > quoted.overhead;
        if (has_inner) {
            const std::size_t restored =
                quoted.edited ? restore_inner(subject.packet, quoted, room) : 0;
            subject.packet = quoted.edited ? ConstByteSpan(room).first(restored) : quoted.inner;
            subject.error.parameter = notes.parameter - quoted.overhead;
            return subject;
        }
    }
    const auto upper = find_upper_layer(subject.packet, subject.family);
    if (!upper || upper->later_fragment || upper->offset >= subject.packet.size()) return subject;
    if (upper->protocol == number(IpProtocol::kIpv6)) {
        subject.family = 6;
    } else if (upper->protocol == number(IpProtocol::kIpv4)) {
        subject.family = 4;
    } else {
        return subject;
    }
    subject.packet = subject.packet.subspan(upper->offset);
    subject.error = {.kind = IcmpErrorKind::kAddressUnreachable};
    return subject;
}

/// The port whose address the message comes from. What came out of IPsec has forgotten by which it
/// arrived; then it is the one towards who is told.
std::uint16_t port_of(const Worker& worker, const Subject& subject, const PacketMeta& notes) {
    if (notes.in_port != channel::kNoPort) return notes.in_port;
    return port_towards_source(worker, subject.packet, subject.family, channel::kNoPort);
}

void icmp_error(Worker& worker, Batch& in, Edges& out) {
    for (unsigned i = 0; i < in.count; ++i) {
        rte_mbuf* const packet = in.packets[i];
        const PacketMeta& notes = stage::meta(packet);
        std::array<std::uint8_t, kMostRestored> room;
        const Subject subject = subject_of(packet, notes, room);
        rte_mbuf* const message =
            make_icmp_error(worker, subject.packet, subject.family, subject.error,
                            port_of(worker, subject, notes), has(notes, stage::kMetaToGroup));
        out.drop(packet, drop_counter(notes));
        if (message != nullptr) out.to(IcmpErrorEdge::kSend, message);
    }
}

/// RFC 4443 section 2.2: what was sent to one of our addresses is answered from it.
std::optional<Ipv6Address> own_source(const Worker& worker, std::uint16_t port,
                                      const Ipv6Header& subject) {
    const table::LocalAddresses& local = worker.tables->local_addresses;
    if (local.find(subject.destination) != nullptr) return subject.destination;
    return local.source_for(port, subject.source);
}

std::optional<Ipv4Address> own_source(const Worker& worker, std::uint16_t port,
                                      const Ipv4Header& subject) {
    const table::LocalAddresses& local = worker.tables->local_addresses;
    if (local.find(subject.destination) != nullptr) return subject.destination;
    return local.source_for(port, subject.source);
}

std::uint16_t write_error(Worker& worker, std::uint8_t* octets, ConstByteSpan subject,
                          std::uint8_t family, const IcmpError& error, std::uint16_t port) {
    if (family == 6) {
        const auto& ip = *reinterpret_cast<const Ipv6Header*>(subject.data());
        const auto source = own_source(worker, port, ip);
        return source ? write_icmpv6_error(octets, *source, ip.source, error, subject)
                      : std::uint16_t{0};
    }
    const auto& ip = *reinterpret_cast<const Ipv4Header*>(subject.data());
    const auto source = own_source(worker, port, ip);
    if (!source) return 0;
    const auto identification = static_cast<std::uint16_t>(next_identification(worker));
    return write_icmpv4_error(octets, *source, ip.source, identification, error, subject);
}

bool is_own_source(const Worker& worker, ConstByteSpan subject, std::uint8_t family) {
    const table::LocalAddresses& local = worker.tables->local_addresses;
    return family == 6
               ? local.find(reinterpret_cast<const Ipv6Header*>(subject.data())->source) != nullptr
               : local.find(reinterpret_cast<const Ipv4Header*>(subject.data())->source) != nullptr;
}

}  // namespace

std::uint32_t next_identification(Worker& worker) {
    // A bijection of the counter: as unique as that, but without its order.
    std::uint32_t x = worker.identification++ * worker.worker_count + worker.index;
    x += static_cast<std::uint32_t>(table::hash_seed());
    x = (x ^ (x >> 16)) * 0x7feb352du;
    x = (x ^ (x >> 15)) * 0x846ca68bu;
    return x ^ (x >> 16);
}

std::uint16_t port_towards_source(const Worker& worker, ConstByteSpan subject, std::uint8_t family,
                                  std::uint16_t otherwise) {
    if (subject.size() < (family == 6 ? sizeof(Ipv6Header) : sizeof(Ipv4Header))) return otherwise;
    const Ipv6Address source =
        family == 6 ? reinterpret_cast<const Ipv6Header*>(subject.data())->source
                    : table::v4_mapped(reinterpret_cast<const Ipv4Header*>(subject.data())->source);
    const table::Hop hop = worker.tables->next_hop(family, source);
    return hop.port == channel::kNoPort ? otherwise : hop.port;
}

rte_mbuf* make_icmp_error(Worker& worker, ConstByteSpan subject, std::uint8_t family,
                          const IcmpError& error, std::uint16_t port, bool to_group) {
    if (error.kind == IcmpErrorKind::kNone || !may_report(subject, family, error, to_group) ||
        is_own_source(worker, subject, family)) {
        return nullptr;
    }
    if (!worker.icmp_policer.take(worker.now_tsc)) {
        worker.count(Counter::kIcmpRateLimited);
        return nullptr;
    }
    rte_mbuf* const message = rte_pktmbuf_alloc(worker.pool);
    if (message == nullptr) return nullptr;
    const std::uint16_t most = family == 6 ? kMaxIcmpv6Error : kMaxIcmpv4Error;
    const std::uint16_t length =
        rte_pktmbuf_tailroom(message) < most
            ? std::uint16_t{0}
            : write_error(worker, stage::data(message), subject, family, error, port);
    if (length == 0) {
        rte_pktmbuf_free(message);
        return nullptr;
    }
    set_length(message, length);
    PacketMeta& notes = stage::init_meta(message, port);
    notes.family = family;
    notes.protocol = family == 6 ? number(IpProtocol::kIcmpv6) : number(IpProtocol::kIcmp);
    notes.upper_offset = family == 6 ? sizeof(Ipv6Header) : sizeof(Ipv4Header);
    notes.flags = stage::kMetaOriginated;
    worker.count(Counter::kRxGenerated);
    worker.count(Counter::kIcmpSent);
    return message;
}

const stage::StageDescription kIcmpErrorStage{
    .id = StageId::kIcmpError,
    .name = "icmp-error",
    .function = icmp_error,
    .edges = {{{"send", StageId::kIpsecOut}}},
    .edge_count = 1,
};

}  // namespace homeport::forward
