// SPDX-License-Identifier: BSD-3-Clause
#include "tools/mobile-node/home_link.hpp"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>

#include "controlplane/wire/icmpv6.hpp"
#include "controlplane/wire/ipv6_packet.hpp"
#include "controlplane/wire/neighbor_discovery.hpp"
#include "dataplane/base/ip_header.hpp"

namespace homeport::mobile_node {

namespace {

constexpr Ipv6Address kAllNodes{{0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};
constexpr std::uint8_t kNdHopLimit = 255;

}  // namespace

SolicitationAnswer answer_solicitation(ConstByteSpan solicitation, const Ipv6Address& home_address,
                                       const MacAddress& mac, bool owned) {
    const auto view = wire::view_ipv6_packet(solicitation);
    if (!view) return {};
    const auto message = wire::decode_icmpv6(*view);
    if (!message) return {};
    const auto* asked = std::get_if<wire::NeighborSolicitation>(&*message);
    if (asked == nullptr || asked->target != home_address) return {};

    SolicitationAnswer out;
    out.is_for_us = true;
    const bool is_probe = view->source.is_unspecified();
    if (is_probe && !owned) return out;
    wire::NeighborAdvertisement answer;
    answer.solicited = !is_probe;
    answer.override_entry = true;
    answer.target = home_address;
    answer.options = {wire::TargetLinkLayerAddress{mac}};
    out.packet =
        wire::icmpv6_packet(answer, home_address, is_probe ? kAllNodes : view->source, kNdHopLimit);
    return out;
}

Result<HomeLink> HomeLink::open(int index, const std::string& name, const MacAddress& mac,
                                const Ipv6Address& home_address) {
    HomeLink link(index, mac, home_address);
    link.receiver_ =
        FileDescriptor(::socket(AF_INET6, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_ICMPV6));
    const int fd = link.receiver_.get();
    if (fd < 0) return fail_errno("ICMPv6 socket");
    if (::setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name.c_str(),
                     static_cast<socklen_t>(name.size() + 1)) < 0) {
        return fail_errno("ICMPv6 socket on " + name);
    }
    icmp6_filter filter;
    ICMP6_FILTER_SETBLOCKALL(&filter);
    ICMP6_FILTER_SETPASS(ND_NEIGHBOR_SOLICIT, &filter);
    const int on = 1;
    if (::setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof filter) < 0 ||
        ::setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on) < 0 ||
        ::setsockopt(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, &on, sizeof on) < 0) {
        return fail_errno("ICMPv6 socket on " + name);
    }
    ipv6_mreq group{};
    std::ranges::copy(home_address.solicited_node().bytes, group.ipv6mr_multiaddr.s6_addr);
    group.ipv6mr_interface = static_cast<unsigned>(index);
    if (::setsockopt(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &group, sizeof group) < 0) {
        return fail_errno("solicited-node group of the home address on " + name);
    }
    return link;
}

std::vector<std::uint8_t> HomeLink::announcement() const {
    return wire::unsolicited_advertisement(home_address_, home_address_, mac_, false);
}

bool HomeLink::announce(const Ipv4Address& ipv4_home_address) const {
    const FileDescriptor fd(::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    std::array<std::uint8_t, 28> request{0, 1, 8, 0, 6, 4, 0, 1};
    mac_.store(request.data() + 8);
    ipv4_home_address.store(request.data() + 14);
    ipv4_home_address.store(request.data() + 24);
    sockaddr_ll to{};
    to.sll_family = AF_PACKET;
    to.sll_protocol = htons(kEtherTypeArp);
    to.sll_ifindex = index_;
    to.sll_halen = 6;
    std::fill_n(to.sll_addr, 6, std::uint8_t{0xff});
    return fd.is_open() && ::sendto(fd.get(), request.data(), request.size(), 0,
                                    reinterpret_cast<const sockaddr*>(&to),
                                    sizeof to) == static_cast<ssize_t>(request.size());
}

std::optional<SolicitationAnswer> HomeLink::receive() {
    std::array<std::uint8_t, 2048> octets;
    sockaddr_in6 from{};
    iovec part{octets.data() + sizeof(Ipv6Header), octets.size() - sizeof(Ipv6Header)};
    alignas(cmsghdr) std::array<char, 128> control{};
    msghdr received{};
    received.msg_name = &from;
    received.msg_namelen = sizeof from;
    received.msg_iov = &part;
    received.msg_iovlen = 1;
    received.msg_control = control.data();
    received.msg_controllen = control.size();
    const ssize_t length = ::recvmsg(receiver_.get(), &received, 0);
    if (length < 0) return std::nullopt;
    if ((received.msg_flags & MSG_TRUNC) != 0) return SolicitationAnswer{};

    Ipv6Header header{};
    header.set_version_class_flow(0, 0);
    header.payload_length = Be16(static_cast<std::uint16_t>(length));
    header.next_header = number(IpProtocol::kIcmpv6);
    header.source = Ipv6Address::load(from.sin6_addr.s6_addr);
    for (cmsghdr* at = CMSG_FIRSTHDR(&received); at != nullptr; at = CMSG_NXTHDR(&received, at)) {
        if (at->cmsg_level != IPPROTO_IPV6) continue;
        if (at->cmsg_type == IPV6_PKTINFO && at->cmsg_len >= CMSG_LEN(sizeof(in6_pktinfo))) {
            in6_pktinfo to;
            std::memcpy(&to, CMSG_DATA(at), sizeof to);
            header.destination = Ipv6Address::load(to.ipi6_addr.s6_addr);
        } else if (at->cmsg_type == IPV6_HOPLIMIT && at->cmsg_len >= CMSG_LEN(sizeof(int))) {
            int hop_limit = 0;
            std::memcpy(&hop_limit, CMSG_DATA(at), sizeof hop_limit);
            header.hop_limit = static_cast<std::uint8_t>(hop_limit);
        }
    }
    std::memcpy(octets.data(), &header, sizeof header);
    return answer_solicitation({octets.data(), sizeof header + static_cast<std::size_t>(length)},
                               home_address_, mac_, owned_);
}

}  // namespace homeport::mobile_node
