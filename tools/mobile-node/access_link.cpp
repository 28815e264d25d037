// SPDX-License-Identifier: BSD-3-Clause
#include "tools/mobile-node/access_link.hpp"

#include <arpa/inet.h>
#include <linux/errqueue.h>
#include <linux/ipv6.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>

#include "dataplane/base/ip_header.hpp"
#include "dataplane/tunnel/udp_tunnel.hpp"

namespace homeport::mobile_node {

namespace {

constexpr int kReceiveBuffer = 4 << 20;
constexpr int kMostErrors = 64;  // skipped in one receive_error()

Result<void> set_option(int fd, int level, int name, int value, const char* what) {
    if (::setsockopt(fd, level, name, &value, sizeof value) < 0) return fail_errno(what);
    return {};
}

sockaddr_in6 socket_address(const Ipv6Address& address, int index) {
    sockaddr_in6 out{};
    out.sin6_family = AF_INET6;
    std::copy(address.bytes.begin(), address.bytes.end(), out.sin6_addr.s6_addr);
    if (address.is_link_local() || address.is_multicast()) {
        out.sin6_scope_id = static_cast<std::uint32_t>(index);
    }
    return out;
}

// A message for sendmsg(): `octets` to the destination of `packet`, from its source. The source
// address makes the routing lookup take the rules that are meant for it.
struct OutgoingMessage {
    Ipv6Header header;
    sockaddr_in6 to;
    iovec part;
    alignas(cmsghdr) std::array<char, 128> control{};
    msghdr message{};

    OutgoingMessage(ConstByteSpan packet, ConstByteSpan octets, int index) {
        std::memcpy(&header, packet.data(), sizeof header);
        to = socket_address(header.destination, index);
        part = {const_cast<std::uint8_t*>(octets.data()), octets.size()};
        message.msg_name = &to;
        message.msg_namelen = sizeof to;
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        message.msg_control = control.data();
        in6_pktinfo source{};
        std::ranges::copy(header.source.bytes, source.ipi6_addr.s6_addr);
        source.ipi6_ifindex = static_cast<unsigned>(index);
        put(IPV6_PKTINFO, source);
    }
    OutgoingMessage(const OutgoingMessage&) = delete;
    OutgoingMessage& operator=(const OutgoingMessage&) = delete;

    template <class T>
    void put(int type, const T& value) {
        auto* at = reinterpret_cast<cmsghdr*>(control.data() + message.msg_controllen);
        at->cmsg_level = IPPROTO_IPV6;
        at->cmsg_type = type;
        at->cmsg_len = CMSG_LEN(sizeof value);
        std::memcpy(CMSG_DATA(at), &value, sizeof value);
        message.msg_controllen += CMSG_SPACE(sizeof value);
    }
};

template <class T>
bool take_control(const cmsghdr& control, int type, T& out) {
    if (control.cmsg_level != IPPROTO_IPV6 || control.cmsg_type != type ||
        control.cmsg_len < CMSG_LEN(sizeof out)) {
        return false;
    }
    std::memcpy(&out, CMSG_DATA(&control), sizeof out);
    return true;
}

SendResult result_of(ssize_t sent) {
    if (sent >= 0) return SendResult::kSent;
    return errno == EMSGSIZE ? SendResult::kTooBig : SendResult::kFailed;
}

}  // namespace

Result<AccessLink> AccessLink::open(int index, const std::string& name, bool icmp_errors) {
    AccessLink link(index, name);
    for (const IpProtocol protocol : {IpProtocol::kIpv6, IpProtocol::kIpv4, IpProtocol::kRouting,
                                      IpProtocol::kEsp, IpProtocol::kMobility}) {
        auto fd = link.open_socket(number(protocol));
        if (!fd) return std::unexpected(fd.error());
        link.receivers_.push_back({number(protocol), std::move(*fd)});
    }
    // Taken by another program: all but UDP over IPv6 works, and has_udp() says so.
    if (auto fd = link.open_udp()) {
        link.receivers_.push_back({number(IpProtocol::kUdp), std::move(*fd)});
    }
    if (icmp_errors) {
        auto fd = link.open_socket(number(IpProtocol::kIcmpv6));
        if (!fd) return std::unexpected(fd.error());
        icmp6_filter wanted;
        ICMP6_FILTER_SETBLOCKALL(&wanted);
        ICMP6_FILTER_SETPASS(ICMP6_PACKET_TOO_BIG, &wanted);
        ICMP6_FILTER_SETPASS(ICMP6_PARAM_PROB, &wanted);
        if (::setsockopt(fd->get(), IPPROTO_ICMPV6, ICMP6_FILTER, &wanted, sizeof wanted) < 0) {
            return fail_errno("raw socket for ICMPv6 errors");
        }
        link.receivers_.push_back({number(IpProtocol::kIcmpv6), std::move(*fd)});
    }
    auto sender = link.open_socket(IPPROTO_RAW);
    if (!sender) return std::unexpected(sender.error());
    // At home nodes of a mobile network send from addresses that are not this host's.
    const int any_source = 1;
    if (::setsockopt(sender->get(), IPPROTO_IPV6, IPV6_FREEBIND, &any_source, sizeof any_source) <
        0) {
        return fail_errno("raw socket that sends for a mobile network");
    }
    link.sender_ = std::move(*sender);
    return link;
}

Result<FileDescriptor> AccessLink::open_socket(std::uint8_t protocol) const {
    FileDescriptor fd(::socket(AF_INET6, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol));
    if (!fd.is_open()) return fail_errno("raw socket (root or CAP_NET_RAW is needed)");
    if (auto done = prepare(fd.get()); !done) return std::unexpected(done.error());
    if (protocol == IPPROTO_RAW) return fd;
    for (const int option : {IPV6_RECVPKTINFO, IPV6_RECVHOPLIMIT, IPV6_RECVTCLASS, IPV6_RECVERR}) {
        // Errors about other ICMPv6 packets than those of our tunnel are none of its business.
        if (option == IPV6_RECVERR && protocol == number(IpProtocol::kIcmpv6)) continue;
        if (auto done = set_option(fd.get(), IPPROTO_IPV6, option, 1, "raw socket option"); !done) {
            return std::unexpected(done.error());
        }
    }
    return fd;
}

Result<void> AccessLink::prepare(int descriptor) const {
    if (::setsockopt(descriptor, SOL_SOCKET, SO_BINDTODEVICE, name_.c_str(),
                     static_cast<socklen_t>(name_.size() + 1)) < 0) {
        return fail_errno("socket on " + name_);
    }
    (void)::setsockopt(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, &kReceiveBuffer,
                       sizeof kReceiveBuffer);
    return {};
}

Result<FileDescriptor> AccessLink::open_udp() const {
    FileDescriptor fd(::socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd.is_open()) return fail_errno("UDP socket");
    if (auto done = prepare(fd.get()); !done) return std::unexpected(done.error());
    for (const int option :
         {IPV6_V6ONLY, IPV6_RECVPKTINFO, IPV6_RECVHOPLIMIT, IPV6_RECVTCLASS, IPV6_RECVERR}) {
        if (auto done = set_option(fd.get(), IPPROTO_IPV6, option, 1, "UDP socket option"); !done) {
            return std::unexpected(done.error());
        }
    }
    sockaddr_in6 any{};
    any.sin6_family = AF_INET6;
    any.sin6_port = htons(tunnel::kDsmipPort);
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any) < 0) {
        return fail_errno("UDP port 4191 on " + name_);
    }
    return fd;
}

std::vector<int> AccessLink::descriptors() const {
    std::vector<int> out;
    for (const Socket& socket : receivers_) out.push_back(socket.fd.get());
    return out;
}

const AccessLink::Socket* AccessLink::socket_of(std::uint8_t protocol) const {
    const auto it = std::ranges::find(receivers_, protocol, &Socket::protocol);
    return it == receivers_.end() ? nullptr : &*it;
}

Result<std::size_t> AccessLink::receive(int descriptor, ByteSpan buffer) {
    const auto socket = std::ranges::find_if(
        receivers_, [&](const Socket& other) { return other.fd.get() == descriptor; });
    if (socket == receivers_.end() || buffer.size() < kHeaderRoom) return fail("no such socket");

    const bool in_udp = socket->protocol == number(IpProtocol::kUdp);
    const std::size_t room = sizeof(Ipv6Header) + (in_udp ? sizeof(UdpHeader) : 0);
    sockaddr_in6 from{};
    iovec part{buffer.data() + room, buffer.size() - room};
    alignas(cmsghdr) std::array<char, 256> control{};
    msghdr message{};
    message.msg_name = &from;
    message.msg_namelen = sizeof from;
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    ssize_t length = ::recvmsg(descriptor, &message, 0);
    // With IPV6_RECVERR the first call after an ICMPv6 error reports that one.
    if (length < 0 && errno != EAGAIN) length = ::recvmsg(descriptor, &message, 0);
    if (length < 0) return std::size_t{0};
    if ((message.msg_flags & MSG_TRUNC) != 0 || length > 0xffff) {
        return fail("receive on " + name_ + ": a packet longer than the buffer");
    }

    Ipv6Header header{};
    int traffic_class = 0;
    int hop_limit = 0;
    in6_pktinfo destination{};
    for (cmsghdr* at = CMSG_FIRSTHDR(&message); at != nullptr; at = CMSG_NXTHDR(&message, at)) {
        (void)(take_control(*at, IPV6_PKTINFO, destination) ||
               take_control(*at, IPV6_TCLASS, traffic_class) ||
               take_control(*at, IPV6_HOPLIMIT, hop_limit));
    }
    header.set_version_class_flow(static_cast<std::uint8_t>(traffic_class), 0);
    const std::size_t payload = room - sizeof header + static_cast<std::size_t>(length);
    if (payload > 0xffff) return fail("receive on " + name_ + ": a packet that is too long");
    header.payload_length = Be16(static_cast<std::uint16_t>(payload));
    header.next_header = socket->protocol;
    header.hop_limit = static_cast<std::uint8_t>(hop_limit);
    header.source = Ipv6Address::load(from.sin6_addr.s6_addr);
    header.destination = Ipv6Address::load(destination.ipi6_addr.s6_addr);
    std::memcpy(buffer.data(), &header, sizeof header);
    if (in_udp) {
        UdpHeader udp{};
        udp.source_port = Be16(ntohs(from.sin6_port));
        udp.destination_port = Be16(tunnel::kDsmipPort);
        udp.length = Be16(static_cast<std::uint16_t>(payload));
        std::memcpy(buffer.data() + sizeof header, &udp, sizeof udp);
    }
    return sizeof header + payload;
}

SendResult AccessLink::send(ConstByteSpan packet) {
    if (packet.size() < sizeof(Ipv6Header)) return SendResult::kFailed;
    const std::uint8_t next_header = packet[offsetof(Ipv6Header, next_header)];
    const bool large_and_sealed =
        next_header == number(IpProtocol::kEsp) && packet.size() > kIpv6MinimumMtu;
    if (next_header == number(IpProtocol::kIpv6) || next_header == number(IpProtocol::kIpv4) ||
        large_and_sealed) {
        return send_payload(socket_of(next_header)->fd.get(), packet, sizeof(Ipv6Header));
    }
    if (next_header == number(IpProtocol::kUdp) && has_udp() &&
        packet.size() >= sizeof(Ipv6Header) + sizeof(UdpHeader) &&
        load_be16(packet.data() + sizeof(Ipv6Header)) == tunnel::kDsmipPort) {
        return send_payload(socket_of(next_header)->fd.get(), packet,
                            sizeof(Ipv6Header) + sizeof(UdpHeader));
    }
    return send_whole(packet);
}

// The kernel makes the headers again, from the same values: only so does it fragment.
SendResult AccessLink::send_payload(int descriptor, ConstByteSpan packet, std::size_t headers) {
    OutgoingMessage out(packet, packet.subspan(headers), index_);
    if (headers > sizeof(Ipv6Header)) {
        out.to.sin6_port = htons(load_be16(packet.data() + sizeof(Ipv6Header) + 2));
    }
    out.put(IPV6_TCLASS, int{out.header.traffic_class()});
    out.put(IPV6_HOPLIMIT, int{out.header.hop_limit});
    ssize_t sent = ::sendmsg(descriptor, &out.message, 0);
    // With IPV6_RECVERR the first call after an ICMPv6 error reports that one, and sends nothing.
    if (sent < 0 && errno != EMSGSIZE && errno != EAGAIN) {
        sent = ::sendmsg(descriptor, &out.message, 0);
    }
    return result_of(sent);
}

SendResult AccessLink::send_whole(ConstByteSpan packet) {
    OutgoingMessage out(packet, packet, index_);
    return result_of(::sendmsg(sender_.get(), &out.message, 0));
}

std::optional<PacketTooBig> AccessLink::receive_error(int descriptor) {
    for (int i = 0; i < kMostErrors; ++i) {
        std::array<std::uint8_t, 2048> quoted;
        iovec part{quoted.data(), quoted.size()};
        alignas(cmsghdr) std::array<char, 512> control{};
        msghdr message{};
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        message.msg_control = control.data();
        message.msg_controllen = control.size();
        const ssize_t length = ::recvmsg(descriptor, &message, MSG_ERRQUEUE);
        if (length < 0) return std::nullopt;
        for (cmsghdr* at = CMSG_FIRSTHDR(&message); at != nullptr; at = CMSG_NXTHDR(&message, at)) {
            sock_extended_err error{};
            if (!take_control(*at, IPV6_RECVERR, error)) continue;
            if (error.ee_origin != SO_EE_ORIGIN_ICMP6 || error.ee_type != ICMP6_PACKET_TOO_BIG) {
                continue;
            }
            return PacketTooBig{error.ee_info, {quoted.data(), quoted.data() + length}};
        }
    }
    return std::nullopt;
}

unsigned AccessLink::path_mtu(const Ipv6Address& source, const Ipv6Address& destination) const {
    FileDescriptor fd(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!fd.is_open() || ::setsockopt(fd.get(), SOL_SOCKET, SO_BINDTODEVICE, name_.c_str(),
                                      static_cast<socklen_t>(name_.size() + 1)) < 0) {
        return 0;
    }
    const sockaddr_in6 from = socket_address(source, index_);
    sockaddr_in6 to = socket_address(destination, index_);
    to.sin6_port = htons(9);
    int mtu = 0;
    socklen_t length = sizeof mtu;
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&from), sizeof from) < 0 ||
        ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) < 0 ||
        ::getsockopt(fd.get(), IPPROTO_IPV6, IPV6_MTU, &mtu, &length) < 0) {
        return 0;
    }
    return static_cast<unsigned>(mtu);
}

}  // namespace homeport::mobile_node
