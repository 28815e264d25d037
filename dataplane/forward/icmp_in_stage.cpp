// SPDX-License-Identifier: BSD-3-Clause
#include <rte_ring_elem.h>

#include <algorithm>
#include <array>

#include "dataplane/base/checksum.hpp"
#include "dataplane/forward/quoted_packet.hpp"
#include "dataplane/forward/stage_support.hpp"
#include "dataplane/forward/stages.hpp"
#include "dataplane/tunnel/mip4_headers_for_stages.hpp"

namespace homeport::forward {

namespace {

using channel::Counter;
using stage::Batch;
using stage::Edges;
using stage::IcmpErrorKind;
using stage::PacketMeta;
using stage::StageId;
using stage::Worker;

enum class IcmpInEdge : std::uint8_t { kToKernel, kSend };

constexpr std::uint8_t kDestinationUnreachable = 1;
constexpr std::uint8_t kPacketTooBig = 2;
constexpr std::uint8_t kTimeExceeded = 3;
constexpr std::uint8_t kParameterProblem = 4;

constexpr std::uint8_t kV4DestinationUnreachable = 3;
constexpr std::uint8_t kV4FragmentationNeeded = 4;  // code
constexpr std::uint8_t kV4TimeExceeded = 11;
constexpr std::uint8_t kV4ParameterProblem = 12;

/// An error of either family, its type named as in ICMPv6.
struct Message {
    std::uint8_t type;
    std::uint8_t code;
    std::uint32_t data;   // kPacketTooBig: MTU
    ConstByteSpan quote;  // the packet that the message is about, cut off somewhere
};

/// RFC 1191 section 5: what to try after a router that does not tell.
std::uint32_t next_plateau(ConstByteSpan quote) {
    constexpr std::array<std::uint32_t, 8> kPlateaus{8166, 4352, 2002, 1492, 1280, 1006, 576, 296};
    if (quote.size() < sizeof(Ipv4Header)) return 0;
    const std::uint32_t length =
        reinterpret_cast<const Ipv4Header*>(quote.data())->total_length.host();
    const auto* const next = std::ranges::find_if(
        kPlateaus, [length](std::uint32_t plateau) { return plateau < length; });
    return next == kPlateaus.end() ? 68 : *next;
}

std::optional<Message> read_ipv4_message(ConstByteSpan icmp, const PacketMeta& notes) {
    if (notes.protocol != number(IpProtocol::kIcmp) || internet_checksum(icmp) != 0) {
        return std::nullopt;
    }
    const auto& header = *reinterpret_cast<const IcmpHeader*>(icmp.data());
    Message message{0, header.code, 0, icmp.subspan(sizeof(IcmpHeader))};
    switch (header.type) {
        case kV4DestinationUnreachable:
            message.type = kDestinationUnreachable;
            if (header.code != kV4FragmentationNeeded) break;
            message.type = kPacketTooBig;
            message.data = header.data.host() & 0xffff;
            if (message.data == 0) message.data = next_plateau(message.quote);
            break;
        case kV4TimeExceeded:
            message.type = kTimeExceeded;
            break;
        case kV4ParameterProblem:
            message.type = kParameterProblem;
            break;
        default:
            return std::nullopt;
    }
    return message;
}

/// The message in a packet, if it is whole and its checksum right.
std::optional<Message> read_message(rte_mbuf* packet, const PacketMeta& notes) {
    const ConstByteSpan octets = bytes_of(packet);
    if (octets.size() < notes.upper_offset + sizeof(IcmpHeader)) return std::nullopt;
    const ConstByteSpan icmp = octets.subspan(notes.upper_offset);
    if (notes.family != 6) return read_ipv4_message(icmp, notes);
    const Ipv6Header& ip = ipv6_of(packet);
    const std::uint64_t sum =
        pseudo_header_sum(ip.source, ip.destination, static_cast<std::uint32_t>(icmp.size()),
                          number(IpProtocol::kIcmpv6));
    if (checksum_finish(checksum_add(sum, icmp)) != 0) return std::nullopt;
    const auto& header = *reinterpret_cast<const IcmpHeader*>(icmp.data());
    return Message{header.type, header.code, header.data.host(), icmp.subspan(sizeof(IcmpHeader))};
}

bool is_tunnel_of(const table::Binding& binding, const QuotedPacket& quoted) {
    return !binding.tentative() && binding.care_of_address == quoted.destination &&
           binding.home_agent_address == quoted.source;
}

/// The binding in whose tunnel the quoted packet was; null if we sent no such packet.
const table::Binding* binding_of(const Worker& worker, const QuotedPacket& quoted) {
    const table::BindingTable& bindings = worker.tables->bindings;
    std::uint32_t slot = bindings.find(quoted.home_address);
    if (slot == table::kNoSlot) slot = worker.tables->mobile_network_of(quoted.home_address);
    if (slot == table::kNoSlot) return nullptr;
    const table::Binding& first = bindings.at(slot);
    if (is_tunnel_of(first, quoted)) return &first;
    const table::Binding* found = nullptr;
    tunnel::for_each_copy(*worker.tables, first, [&](std::uint32_t, const table::Binding& binding) {
        if (is_tunnel_of(binding, quoted)) found = &binding;
    });
    return found;
}

void learn_path_mtu(Worker& worker, const table::Binding& binding, std::uint32_t mtu) {
    // A packet that the floor of 1280 octets does not help is fragmented anyway (RFC 8200 section
    // 5).
    if (mtu >= binding.path_mtu || worker.to_main == nullptr) return;
    stage::MainRequest request;
    request.kind = stage::MainRequest::Kind::kPathMtu;
    request.home_address = binding.home_address;
    request.mtu = mtu;
    // A full ring loses it; the next packet that is too big brings it again.
    (void)rte_ring_enqueue_elem(worker.to_main, &request, sizeof request);
}

/// A sealed packet of this host was too big.
bool is_about_sealed(const Worker& worker, const Message& message, const QuotedPacket& quoted) {
    return quoted.kind == QuotedPacket::Kind::kSealed && message.type == kPacketTooBig &&
           worker.tables->local_addresses.find(quoted.source) != nullptr;
}

/// S1.22: about a sealed packet. Whose SA it was, so which home address stood in the place of the
/// care-of address before IPsec was left, the main lcore finds; the SA's path MTU then tells the
/// senders of what is too big (RFC 4301 section 8.2). True: it was ours to handle.
bool learn_sealed_path_mtu(Worker& worker, const Message& message, const QuotedPacket& quoted) {
    if (!is_about_sealed(worker, message, quoted) || worker.to_main == nullptr) return false;
    stage::MainRequest request;
    request.kind = stage::MainRequest::Kind::kSealedPathMtu;
    request.home_address = quoted.destination;
    request.port = quoted.udp_port;
    request.mtu = message.data;
    request.spi = quoted.spi;
    (void)rte_ring_enqueue_elem(worker.to_main, &request, sizeof request);
    return true;
}

/// RFC 2003 sections 4 and 5.1: routers quote 28 octets at least, which tell of a tunnel packet no
/// more than where it went. That is whose path it was; the next packet that is too big gets its
/// error. The main lcore finds the bindings. True: it was about a tunnel over IPv4.
bool learn_tunnel_path_mtu(Worker& worker, const Message& message, const QuotedPacket& quoted) {
    if (message.type != kPacketTooBig || !quoted.destination.is_v4_mapped() ||
        worker.to_main == nullptr || message.data >= quoted.length) {
        return false;
    }
    stage::MainRequest request;
    request.kind = stage::MainRequest::Kind::kTunnelPathMtu;
    request.home_address = quoted.destination;
    request.port = quoted.udp_port;
    request.mtu = message.data;
    (void)rte_ring_enqueue_elem(worker.to_main, &request, sizeof request);
    return true;
}

/// What the sender of the inner packet is told (RFC 2473 section 8), if anything.
std::optional<IcmpError> relayed(const Message& message, const QuotedPacket& quoted) {
    if (message.type != kPacketTooBig) {
        return IcmpError{.kind = IcmpErrorKind::kAddressUnreachable};
    }
    const std::uint32_t overhead = quoted.overhead;
    const std::uint32_t mtu = message.data > overhead ? message.data - overhead : 0;
    if (quoted.inner_family == 6) {
        if (quoted.inner_length <= kIpv6MinimumMtu) return std::nullopt;
        return IcmpError{.kind = IcmpErrorKind::kPacketTooBig,
                         .parameter = std::max<std::uint32_t>(mtu, kIpv6MinimumMtu)};
    }
    if (!quoted.inner_dont_fragment) return std::nullopt;
    return IcmpError{.kind = IcmpErrorKind::kPacketTooBig,
                     .parameter = std::max<std::uint32_t>(mtu, 68)};
}

/// RFC 2003 section 4: what is about the outer header alone means nothing to the sender of the
/// inner packet.
bool is_for_encapsulator(const Message& message) {
    constexpr std::uint8_t kPortUnreachable = 3;
    constexpr std::uint8_t kSourceRouteFailed = 5;
    return message.type == kParameterProblem ||
           (message.type == kDestinationUnreachable &&
            (message.code == kPortUnreachable || message.code == kSourceRouteFailed));
}

/// S2.131: what the VPN gateway of this box had sealed was in the tunnel of its external home
/// agent, so the SA's path is what the tunnel's is, less its headers.
void learn_path_of_sealed_inside(Worker& worker, const Message& message,
                                 const QuotedPacket& quoted) {
    if (quoted.edited || quoted.inner_family != 4 || worker.to_main == nullptr ||
        message.data <= quoted.overhead) {
        return;
    }
    const auto& ip = *reinterpret_cast<const Ipv4Header*>(quoted.inner.data());
    const std::size_t header = ip.header_length();
    if (ip.protocol != number(IpProtocol::kEsp) || quoted.inner.size() < header + 4 ||
        worker.tables->local_addresses.find(ip.source) == nullptr) {
        return;
    }
    stage::MainRequest request;
    request.kind = stage::MainRequest::Kind::kSealedPathMtu;
    request.home_address = quoted.home_address;
    request.mtu = message.data - quoted.overhead;
    request.spi = load_be32(quoted.inner.data() + header);
    (void)rte_ring_enqueue_elem(worker.to_main, &request, sizeof request);
}

/// RFC 2003 section 5: too little is quoted to tell whose packet it was. Those that go the same way
/// next are answered for it. True: it was about a tunnel of Mobile IPv4.
bool note_unreachable(Worker& worker, const Message& message, const QuotedPacket& quoted,
                      const table::LocalAddress& local) {
    if (message.type == kPacketTooBig || !quoted.destination.is_v4_mapped() ||
        local.mip4_role == channel::Mip4Role::kNone) {
        return false;
    }
    const bool says_so =
        !is_for_encapsulator(message) && (message.type != kTimeExceeded || message.code == 0);
    if (!says_so || worker.to_main == nullptr) return true;
    stage::MainRequest request;
    request.kind = stage::MainRequest::Kind::kTunnelUnreachable;
    request.home_address = quoted.destination;
    request.port = quoted.udp_port;
    (void)rte_ring_enqueue_elem(worker.to_main, &request, sizeof request);
    return true;
}

bool is_about_tunnels(std::uint8_t type) {
    return type >= kDestinationUnreachable && type <= kParameterProblem;
}

/// A Packet Too Big that our packet was not too big for is no answer to it.
bool is_plausible(const Message& message, const QuotedPacket& quoted) {
    return message.type != kPacketTooBig || message.data < quoted.length;
}

void handle(Worker& worker, rte_mbuf* packet, const PacketMeta& notes, Edges& out) {
    const auto message = read_message(packet, notes);
    if (!message || !is_about_tunnels(message->type)) {
        out.to(IcmpInEdge::kToKernel, packet);
        return;
    }
    const QuotedPacket quoted = read_quote(message->quote);
    // RFC 4301 section 8.2: whether messages that no SA vouches for count is for the operator to
    // say.
    const bool is_believed = message->type != kPacketTooBig ||
                             worker.parameters->believe_packet_too_big != 0 ||
                             (notes.flags & stage::kMetaDecrypted) != 0;
    const auto ignore = [&] {
        worker.count(Counter::kIcmpTooBigIgnored);
        out.absorb(packet);
    };
    if (quoted.kind == QuotedPacket::Kind::kCutOff) {
        // Too little to find out whose packet it was, but a tunnel's if it came from us.
        const table::LocalAddress* const local = worker.tables->local_addresses.find(quoted.source);
        const bool is_kernels =
            quoted.of_mip4 && local != nullptr && local->mip4_role == channel::Mip4Role::kNone;
        if (local == nullptr || is_kernels) {
            out.to(IcmpInEdge::kToKernel, packet);
        } else if (!is_believed) {
            ignore();
        } else if (note_unreachable(worker, *message, quoted, *local) ||
                   learn_tunnel_path_mtu(worker, *message, quoted)) {
            out.absorb(packet);
        } else {
            out.drop(packet, Counter::kIcmpRelayShort);
        }
        return;
    }
    if (!is_believed && is_about_sealed(worker, *message, quoted)) return ignore();
    if (is_plausible(*message, quoted) && learn_sealed_path_mtu(worker, *message, quoted)) {
        out.absorb(packet);
        return;
    }
    const bool names_home_address =
        quoted.kind == QuotedPacket::Kind::kTunnel || quoted.kind == QuotedPacket::Kind::kRouting;
    const table::Binding* const binding = names_home_address ? binding_of(worker, quoted) : nullptr;
    if (binding == nullptr || !is_plausible(*message, quoted)) {
        out.to(IcmpInEdge::kToKernel, packet);
        return;
    }
    if (!is_believed) return ignore();
    if (message->type == kPacketTooBig) {
        learn_path_mtu(worker, *binding, message->data);
        if (tunnel::is_mip4(*binding)) learn_path_of_sealed_inside(worker, *message, quoted);
    }
    rte_mbuf* relay = nullptr;
    if (quoted.kind == QuotedPacket::Kind::kTunnel) {
        const auto error = relayed(*message, quoted);
        // Time Exceeded in reassembly (code 1) says that something was lost, no more.
        const bool silent = (message->type == kTimeExceeded && message->code != 0) ||
                            (tunnel::is_mip4(*binding) && is_for_encapsulator(*message));
        if (error && !silent) {
            std::array<std::uint8_t, kMostRestored> restored;
            ConstByteSpan inner = quoted.inner;
            if (quoted.edited) {
                inner = {restored.data(), restore_inner(message->quote, quoted, restored)};
            }
            relay = make_icmp_error(
                worker, inner, quoted.inner_family, *error,
                port_towards_source(worker, inner, quoted.inner_family, notes.in_port), false);
        }
    }
    out.absorb(packet);
    if (relay == nullptr) return;
    worker.count(Counter::kIcmpRelayed);
    out.to(IcmpInEdge::kSend, relay);
}

void icmp_in(Worker& worker, Batch& in, Edges& out) {
    for (unsigned i = 0; i < in.count; ++i) {
        rte_mbuf* const packet = in.packets[i];
        handle(worker, packet, stage::meta(packet), out);
    }
}

}  // namespace

const stage::StageDescription kIcmpInStage{
    .id = StageId::kIcmpIn,
    .name = "icmp-in",
    .function = icmp_in,
    .edges = {{{"to-kernel", StageId::kToKernel}, {"send", StageId::kIpsecOut}}},
    .edge_count = 2,
};

}  // namespace homeport::forward
