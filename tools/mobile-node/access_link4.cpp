// SPDX-License-Identifier: BSD-3-Clause
#include "tools/mobile-node/access_link4.hpp"

#include <linux/errqueue.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "dataplane/base/checksum.hpp"
#include "dataplane/base/ip_header.hpp"
#include "dataplane/tunnel/ipv4_tunnel.hpp"

namespace homeport::mobile_node {

namespace {

constexpr int kReceiveBuffer = 4 << 20;
constexpr int kMostErrors = 64;  // skipped in one receive_error()

Result<void> set_option(int fd, int level, int name, int value, const char* what) {
    if (::setsockopt(fd, level, name, &value, sizeof value) < 0) return fail_errno(what);
    return {};
}

sockaddr_in socket_address(const Ipv4Address& address, std::uint16_t port) {
    sockaddr_in out{};
    out.sin_family = AF_INET;
    std::memcpy(&out.sin_addr, address.bytes.data(), sizeof out.sin_addr);
    store_be16(reinterpret_cast<std::uint8_t*>(&out.sin_port), port);
    return out;
}

Ipv4Address address_of(const in_addr& address) {
    return Ipv4Address::load(reinterpret_cast<const std::uint8_t*>(&address));
}

// A message for sendmsg(): `octets` from `source` to `to`. The source makes the routing lookup take
// the rules that are meant for it.
struct OutgoingMessage {
    sockaddr_in to;
    iovec part;
    alignas(cmsghdr) std::array<char, 128> control{};
    msghdr message{};

    OutgoingMessage(const Ipv4Address& source, const sockaddr_in& destination, ConstByteSpan octets,
                    int index)
        : to(destination), part{const_cast<std::uint8_t*>(octets.data()), octets.size()} {
        message.msg_name = &to;
        message.msg_namelen = sizeof to;
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        message.msg_control = control.data();
        in_pktinfo information{};
        std::memcpy(&information.ipi_spec_dst, source.bytes.data(), 4);
        information.ipi_ifindex = index;
        put(IP_PKTINFO, information);
    }
    OutgoingMessage(const OutgoingMessage&) = delete;
    OutgoingMessage& operator=(const OutgoingMessage&) = delete;

    template <class T>
    void put(int type, const T& value) {
        auto* at = reinterpret_cast<cmsghdr*>(control.data() + message.msg_controllen);
        at->cmsg_level = IPPROTO_IP;
        at->cmsg_type = type;
        at->cmsg_len = CMSG_LEN(sizeof value);
        std::memcpy(CMSG_DATA(at), &value, sizeof value);
        message.msg_controllen += CMSG_SPACE(sizeof value);
    }
    // With IP_RECVERR the first call after an ICMP error reports that one, and sends nothing.
    SendResult send(int descriptor) {
        ssize_t sent = ::sendmsg(descriptor, &message, 0);
        if (sent < 0 && errno != EMSGSIZE && errno != EAGAIN) {
            sent = ::sendmsg(descriptor, &message, 0);
        }
        if (sent >= 0) return SendResult::kSent;
        return errno == EMSGSIZE ? SendResult::kTooBig : SendResult::kFailed;
    }
};

template <class T>
bool take_control(const cmsghdr& control, int type, T& out) {
    if (control.cmsg_level != IPPROTO_IP || control.cmsg_type != type) return false;
    // TOS comes as one octet, the others as what they are.
    const std::size_t length = std::min<std::size_t>(control.cmsg_len - CMSG_LEN(0), sizeof out);
    std::memcpy(&out, CMSG_DATA(&control), length);
    return true;
}

struct Received {
    Ipv4Address source;
    std::uint16_t source_port = 0;
    Ipv4Address destination;
    std::uint8_t tos = 0;
    int ttl = 0;
    std::uint16_t port = 0;  // ours
};

// Headers of a datagram of `length` octets, as they were on the wire but for DF, identification and
// the UDP checksum, which the kernel has checked.
void write_headers(std::uint8_t* at, const Received& received, std::size_t length) {
    Ipv4Header ip{};
    ip.version_ihl = 0x45;
    ip.tos = received.tos;
    ip.total_length =
        Be16(static_cast<std::uint16_t>(sizeof(Ipv4Header) + sizeof(UdpHeader) + length));
    ip.ttl = static_cast<std::uint8_t>(received.ttl);
    ip.protocol = number(IpProtocol::kUdp);
    ip.source = received.source;
    ip.destination = received.destination;
    std::memcpy(at, &ip, sizeof ip);
    tunnel::write_udp_header(at + sizeof ip, received.source_port, received.port,
                             static_cast<std::uint16_t>(sizeof(UdpHeader) + length));
}

}  // namespace

Result<AccessLink4> AccessLink4::open(int index, const std::string& name, const Options& options) {
    AccessLink4 link(index, name);
    for (const IpProtocol protocol : options.protocols) {
        if (auto done = link.open_raw(number(protocol)); !done) {
            return std::unexpected(done.error());
        }
    }
    auto port = link.open_udp(0);
    if (!port) return std::unexpected(port.error());
    link.udp_port_ = *port;
    if (!options.esp_in_udp) return link;
    port = link.open_udp(tunnel::kNatTraversalPort);
    if (!port) port = link.open_udp(0);  // an IKE daemon has it
    if (!port) return std::unexpected(port.error());
    link.esp_port_ = *port;
    // RFC 3948 section 2.1: no checksum.
    if (auto done = set_option(link.sockets_.back().fd.get(), SOL_SOCKET, SO_NO_CHECK, 1,
                               "UDP socket option");
        !done) {
        return std::unexpected(done.error());
    }
    return link;
}

Result<FileDescriptor> AccessLink4::open_socket(int type, std::uint8_t protocol) const {
    FileDescriptor fd(::socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol));
    if (!fd.is_open()) return fail_errno("IPv4 socket (root or CAP_NET_RAW is needed)");
    if (::setsockopt(fd.get(), SOL_SOCKET, SO_BINDTODEVICE, name_.c_str(),
                     static_cast<socklen_t>(name_.size() + 1)) < 0) {
        return fail_errno("IPv4 socket on " + name_);
    }
    (void)::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &kReceiveBuffer,
                       sizeof kReceiveBuffer);
    for (const auto& [option, value] :
         {std::pair{IP_PKTINFO, 1}, std::pair{IP_RECVTTL, 1}, std::pair{IP_RECVTOS, 1},
          std::pair{IP_RECVERR, 1}, std::pair{IP_MTU_DISCOVER, IP_PMTUDISC_WANT}}) {
        if (auto done = set_option(fd.get(), IPPROTO_IP, option, value, "IPv4 socket option");
            !done) {
            return std::unexpected(done.error());
        }
    }
    return fd;
}

Result<void> AccessLink4::open_raw(std::uint8_t protocol) {
    auto fd = open_socket(SOCK_RAW, protocol);
    if (!fd) return std::unexpected(fd.error());
    sockets_.push_back({protocol, 0, std::move(*fd)});
    return {};
}

Result<std::uint16_t> AccessLink4::open_udp(std::uint16_t wanted) {
    auto fd = open_socket(SOCK_DGRAM, 0);
    if (!fd) return std::unexpected(fd.error());
    sockaddr_in address = socket_address({}, wanted);
    socklen_t length = sizeof address;
    if (::bind(fd->get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0 ||
        ::getsockname(fd->get(), reinterpret_cast<sockaddr*>(&address), &length) < 0) {
        return fail_errno("UDP socket on " + name_);
    }
    const std::uint16_t port = load_be16(reinterpret_cast<const std::uint8_t*>(&address.sin_port));
    sockets_.push_back({number(IpProtocol::kUdp), port, std::move(*fd)});
    return port;
}

std::vector<int> AccessLink4::descriptors() const {
    std::vector<int> out;
    for (const Socket& socket : sockets_) out.push_back(socket.fd.get());
    return out;
}

Result<std::size_t> AccessLink4::receive(int descriptor, ByteSpan buffer) {
    const auto socket = std::ranges::find_if(
        sockets_, [&](const Socket& other) { return other.fd.get() == descriptor; });
    if (socket == sockets_.end() || buffer.size() < kHeaderRoom) return fail("no such socket");
    // Raw sockets give the IPv4 header, UDP sockets the payload.
    const std::size_t room = socket->port == 0 ? 0 : kHeaderRoom;

    sockaddr_in from{};
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
    // With IP_RECVERR the first call after an ICMP error reports that one.
    if (length < 0 && errno != EAGAIN) length = ::recvmsg(descriptor, &message, 0);
    if (length < 0) return std::size_t{0};
    if ((message.msg_flags & MSG_TRUNC) != 0) {
        return fail("receive on " + name_ + ": a packet longer than the buffer");
    }
    if (room == 0) return static_cast<std::size_t>(length);

    Received received;
    received.source = address_of(from.sin_addr);
    received.source_port = load_be16(reinterpret_cast<const std::uint8_t*>(&from.sin_port));
    received.port = socket->port;
    in_pktinfo information{};
    for (cmsghdr* at = CMSG_FIRSTHDR(&message); at != nullptr; at = CMSG_NXTHDR(&message, at)) {
        (void)(take_control(*at, IP_PKTINFO, information) ||
               take_control(*at, IP_TOS, received.tos) || take_control(*at, IP_TTL, received.ttl));
    }
    received.destination = address_of(information.ipi_addr);
    write_headers(buffer.data(), received, static_cast<std::size_t>(length));
    return room + static_cast<std::size_t>(length);
}

AccessLink4::Socket* AccessLink4::socket_of(ConstByteSpan packet) {
    const std::uint8_t protocol = packet[offsetof(Ipv4Header, protocol)];
    std::uint16_t port = 0;
    if (protocol == number(IpProtocol::kUdp)) {
        if (packet.size() < sizeof(Ipv4Header) + sizeof(UdpHeader)) return nullptr;
        port = load_be16(packet.data() + sizeof(Ipv4Header));
    }
    const auto it = std::ranges::find_if(sockets_, [&](const Socket& socket) {
        return socket.protocol == protocol && socket.port == port;
    });
    return it == sockets_.end() ? nullptr : &*it;
}

bool AccessLink4::set_udp_checksum(int descriptor, bool wanted) {
    if (udp_checksum_ == wanted) return true;
    const int none = wanted ? 0 : 1;
    if (::setsockopt(descriptor, SOL_SOCKET, SO_NO_CHECK, &none, sizeof none) < 0) return false;
    udp_checksum_ = wanted;
    return true;
}

SendResult AccessLink4::send(ConstByteSpan packet) {
    if (packet.size() < sizeof(Ipv4Header) || packet[0] != 0x45) return SendResult::kFailed;
    Socket* const socket = socket_of(packet);
    if (socket == nullptr) return SendResult::kFailed;
    const auto& ip = *reinterpret_cast<const Ipv4Header*>(packet.data());
    std::size_t header = sizeof(Ipv4Header);
    std::uint16_t port = 0;
    if (socket->port != 0) {
        const auto& udp = *reinterpret_cast<const UdpHeader*>(packet.data() + header);
        header += sizeof(UdpHeader);
        port = udp.destination_port.host();
        const bool checksum = udp.checksum.host() != 0;
        if (socket->port == udp_port_ && !set_udp_checksum(socket->fd.get(), checksum)) {
            return SendResult::kFailed;
        }
    }
    OutgoingMessage out(ip.source, socket_address(ip.destination, port), packet.subspan(header),
                        index_);
    out.put(IP_TOS, int{ip.tos});
    out.put(IP_TTL, int{ip.ttl});
    return out.send(socket->fd.get());
}

SendResult AccessLink4::send_keepalive(const Ipv4Address& source, const Ipv4Address& destination) {
    const auto socket = std::ranges::find(sockets_, esp_port_, &Socket::port);
    if (socket == sockets_.end()) return SendResult::kFailed;
    const std::array<std::uint8_t, 1> octet{0xff};
    OutgoingMessage out(source, socket_address(destination, tunnel::kNatTraversalPort), octet,
                        index_);
    return out.send(socket->fd.get());
}

std::optional<PacketTooBig> AccessLink4::receive_error(int descriptor) {
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
            if (at->cmsg_len < CMSG_LEN(sizeof error) || !take_control(*at, IP_RECVERR, error)) {
                continue;
            }
            if (error.ee_origin != SO_EE_ORIGIN_ICMP || error.ee_type != ICMP_DEST_UNREACH ||
                error.ee_code != ICMP_FRAG_NEEDED) {
                continue;
            }
            return PacketTooBig{error.ee_info, {quoted.data(), quoted.data() + length}};
        }
    }
    return std::nullopt;
}

unsigned AccessLink4::path_mtu(const Ipv4Address& source, const Ipv4Address& destination) const {
    FileDescriptor fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!fd.is_open() || ::setsockopt(fd.get(), SOL_SOCKET, SO_BINDTODEVICE, name_.c_str(),
                                      static_cast<socklen_t>(name_.size() + 1)) < 0) {
        return 0;
    }
    const sockaddr_in from = socket_address(source, 0);
    const sockaddr_in to = socket_address(destination, 9);
    int mtu = 0;
    socklen_t length = sizeof mtu;
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&from), sizeof from) < 0 ||
        ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) < 0 ||
        ::getsockopt(fd.get(), IPPROTO_IP, IP_MTU, &mtu, &length) < 0) {
        return 0;
    }
    return static_cast<unsigned>(mtu);
}

}  // namespace homeport::mobile_node
