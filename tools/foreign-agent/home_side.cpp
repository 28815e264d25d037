// SPDX-License-Identifier: BSD-3-Clause
#include "tools/foreign-agent/home_side.hpp"

#include <arpa/inet.h>
#include <linux/errqueue.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstring>

#include "dataplane/base/ip_header.hpp"

namespace homeport::foreign_agent {

namespace {

using mobile_node::fail;
using mobile_node::fail_errno;
using mobile_node::FileDescriptor;

constexpr std::uint16_t kPort = 434;
constexpr std::uint8_t kTunnelData = 4;  // first octet of the payload (RFC 3519 section 3.3)
constexpr int kReceiveBuffer = 4 << 20;
constexpr std::size_t kMostPaths = 1024;

sockaddr_in to_socket(const Ipv4Address& address, std::uint16_t port) {
    sockaddr_in out{};
    out.sin_family = AF_INET;
    out.sin_port = htons(port);
    address.store(reinterpret_cast<std::uint8_t*>(&out.sin_addr));
    return out;
}
Ipv4Address from_socket(const in_addr& address) {
    return Ipv4Address::load(reinterpret_cast<const std::uint8_t*>(&address));
}

template <std::size_t N>
bool attach(int fd, std::array<sock_filter, N> program) {
    const sock_fprog filter{static_cast<unsigned short>(N), program.data()};
    return ::setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) == 0;
}

constexpr sock_filter statement(int code, std::uint32_t k) {
    return {static_cast<std::uint16_t>(code), 0, 0, k};
}
constexpr sock_filter jump(int code, std::uint32_t k, std::uint8_t yes, std::uint8_t no) {
    return {static_cast<std::uint16_t>(code), yes, no, k};
}

/// On the UDP socket: all but tunnel data. The filter sees the UDP header first.
constexpr std::array<sock_filter, 4> kNoTunnelData{
    {statement(BPF_LD | BPF_B | BPF_ABS, 8), jump(BPF_JMP | BPF_JEQ | BPF_K, kTunnelData, 0, 1),
     statement(BPF_RET | BPF_K, 0), statement(BPF_RET | BPF_K, 0xffffffff)}};
/// On the raw socket for UDP: tunnel data to port 434 alone. It sees the IP header first.
constexpr std::array<sock_filter, 7> kTunnelDataOnly{
    {statement(BPF_LDX | BPF_B | BPF_MSH, 0), statement(BPF_LD | BPF_H | BPF_IND, 2),
     jump(BPF_JMP | BPF_JEQ | BPF_K, kPort, 0, 3), statement(BPF_LD | BPF_B | BPF_IND, 8),
     jump(BPF_JMP | BPF_JEQ | BPF_K, kTunnelData, 0, 1), statement(BPF_RET | BPF_K, 0xffffffff),
     statement(BPF_RET | BPF_K, 0)}};

struct Control {
    alignas(cmsghdr) std::array<std::uint8_t, 512> octets{};
};
/// Destination and device of a received packet.
std::optional<in_pktinfo> packet_info(msghdr& message) {
    for (cmsghdr* one = CMSG_FIRSTHDR(&message); one != nullptr; one = CMSG_NXTHDR(&message, one)) {
        if (one->cmsg_level != IPPROTO_IP || one->cmsg_type != IP_PKTINFO) continue;
        in_pktinfo info{};
        std::memcpy(&info, CMSG_DATA(one), sizeof info);
        return info;
    }
    return {};
}

}  // namespace

Result<HomeSide> HomeSide::open() {
    HomeSide side;
    if (auto done = side.open_udp(); !done) return std::unexpected(done.error());
    for (const IpProtocol protocol : {IpProtocol::kIpv4, IpProtocol::kGre,
                                      IpProtocol::kMinimalEncapsulation, IpProtocol::kUdp}) {
        if (auto done = side.open_raw(number(protocol)); !done) {
            return std::unexpected(done.error());
        }
    }
    side.sender_ =
        FileDescriptor(::socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_RAW));
    if (!side.sender_.is_open()) return fail_errno("raw socket");
    return side;
}

Result<void> HomeSide::open_udp() {
    udp_ = FileDescriptor(::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!udp_.is_open()) return fail_errno("UDP socket");
    const int fd = udp_.get();
    const int on = 1;
    // Errors are wanted (codes 80 to 88), and addresses.
    if (::setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on) < 0 ||
        ::setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof on) < 0 ||
        !attach(fd, kNoTunnelData)) {
        return fail_errno("UDP port 434");
    }
    const sockaddr_in self = to_socket({}, kPort);
    if (::bind(fd, reinterpret_cast<const sockaddr*>(&self), sizeof self) < 0) {
        return fail_errno("UDP port 434");
    }
    return {};
}

Result<void> HomeSide::open_raw(std::uint8_t protocol) {
    FileDescriptor fd(::socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol));
    const std::string what = "raw socket for protocol " + std::to_string(protocol);
    if (!fd.is_open()) return fail_errno(what);
    const int on = 1;
    if (::setsockopt(fd.get(), IPPROTO_IP, IP_PKTINFO, &on, sizeof on) < 0) return fail_errno(what);
    if (protocol == number(IpProtocol::kUdp) && !attach(fd.get(), kTunnelDataOnly)) {
        return fail_errno(what);
    }
    (void)::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &kReceiveBuffer, sizeof kReceiveBuffer);
    raw_.push_back(std::move(fd));
    return {};
}

Result<void> HomeSide::join(int interface) {
    for (const Ipv4Address& group : {Ipv4Address{{224, 0, 0, 2}}, Ipv4Address{{224, 0, 0, 11}}}) {
        ip_mreqn membership{};
        group.store(reinterpret_cast<std::uint8_t*>(&membership.imr_multiaddr));
        membership.imr_ifindex = interface;
        if (::setsockopt(udp_.get(), IPPROTO_IP, IP_ADD_MEMBERSHIP, &membership,
                         sizeof membership) < 0 &&
            errno != EADDRINUSE) {
            return fail_errno("group " + group.to_string());
        }
    }
    return {};
}

std::vector<int> HomeSide::descriptors() const {
    std::vector<int> all{udp_.get()};
    for (const FileDescriptor& one : raw_) all.push_back(one.get());
    return all;
}

Result<std::optional<FromHome>> HomeSide::receive(int descriptor, ByteSpan buffer) {
    sockaddr_in from{};
    iovec part{buffer.data(), buffer.size()};
    Control control;
    msghdr message{};
    message.msg_name = &from;
    message.msg_namelen = sizeof from;
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.octets.data();
    message.msg_controllen = control.octets.size();
    ssize_t length = 0;
    do {
        length = ::recvmsg(descriptor, &message, 0);
    } while (length < 0 && errno == EINTR);
    if (length < 0) {
        // An ICMP error shows itself here once, too; receive_error() has the rest.
        constexpr int kOfPeers[] = {EAGAIN, ECONNREFUSED, EHOSTUNREACH, ENETUNREACH, EMSGSIZE,
                                    EPROTO, ENOPROTOOPT,  EACCES,       EHOSTDOWN,   ENONET};
        for (const int one : kOfPeers) {
            if (errno == one) return std::optional<FromHome>{};
        }
        return fail_errno("socket towards home agents");
    }
    const auto info = packet_info(message).value_or(in_pktinfo{});
    const ConstByteSpan octets = buffer.first(static_cast<std::size_t>(length));
    if (descriptor != udp_.get()) {
        return std::optional<FromHome>{TunnelPacket{info.ipi_ifindex, octets}};
    }
    return std::optional<FromHome>{
        ControlMessage{{from_socket(from.sin_addr), ntohs(from.sin_port)},
                       from_socket(info.ipi_addr),
                       info.ipi_ifindex,
                       octets}};
}

std::optional<IcmpReport> HomeSide::receive_error(int descriptor, ByteSpan buffer) {
    constexpr int kMostSkipped = 64;
    for (int i = 0; i < kMostSkipped; ++i) {
        sockaddr_in to{};
        iovec part{buffer.data(), buffer.size()};
        Control control;
        msghdr message{};
        message.msg_name = &to;
        message.msg_namelen = sizeof to;
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        message.msg_control = control.octets.data();
        message.msg_controllen = control.octets.size();
        const auto length = ::recvmsg(descriptor, &message, MSG_ERRQUEUE);
        if (length < 0) return {};
        for (cmsghdr* one = CMSG_FIRSTHDR(&message); one != nullptr;
             one = CMSG_NXTHDR(&message, one)) {
            if (one->cmsg_level != IPPROTO_IP || one->cmsg_type != IP_RECVERR) continue;
            sock_extended_err error{};
            std::memcpy(&error, CMSG_DATA(one), sizeof error);
            if (error.ee_origin != SO_EE_ORIGIN_ICMP) continue;
            return IcmpReport{from_socket(to.sin_addr), error.ee_type, error.ee_code,
                              buffer.first(static_cast<std::size_t>(length))};
        }
    }
    return {};
}

bool HomeSide::send_control(const Ipv4Address& source, const Ipv4Address& destination,
                            ConstByteSpan payload) {
    sockaddr_in to = to_socket(destination, kPort);
    iovec part{const_cast<std::uint8_t*>(payload.data()), payload.size()};
    alignas(cmsghdr) std::array<std::uint8_t, CMSG_SPACE(sizeof(in_pktinfo))> control{};
    msghdr message{};
    message.msg_name = &to;
    message.msg_namelen = sizeof to;
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = IPPROTO_IP;
    header->cmsg_type = IP_PKTINFO;
    header->cmsg_len = CMSG_LEN(sizeof(in_pktinfo));
    in_pktinfo info{};
    source.store(reinterpret_cast<std::uint8_t*>(&info.ipi_spec_dst));
    std::memcpy(CMSG_DATA(header), &info, sizeof info);
    // An error of before is given to whoever comes next: once more, then.
    for (int i = 0; i < 2; ++i) {
        if (::sendmsg(udp_.get(), &message, 0) >= 0) return true;
    }
    return false;
}

bool HomeSide::send_packet(ConstByteSpan packet) {
    if (packet.size() < sizeof(Ipv4Header)) return false;
    const sockaddr_in to =
        to_socket(reinterpret_cast<const Ipv4Header*>(packet.data())->destination, 0);
    while (true) {
        if (::sendto(sender_.get(), packet.data(), packet.size(), 0,
                     reinterpret_cast<const sockaddr*>(&to), sizeof to) >= 0) {
            return true;
        }
        if (errno != EINTR) return false;
    }
}

std::size_t HomeSide::path_mtu(const Ipv4Address& source, const Ipv4Address& destination) {
    const auto now = std::chrono::steady_clock::now();
    if (paths_.size() >= kMostPaths) paths_.clear();
    Path& path = paths_[{source, destination}];
    if (path.asked != std::chrono::steady_clock::time_point{} &&
        now - path.asked < std::chrono::seconds(1)) {
        return path.mtu;
    }
    path.asked = now;
    const FileDescriptor fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const sockaddr_in self = to_socket(source, 0);
    const sockaddr_in peer = to_socket(destination, kPort);
    int mtu = 0;
    socklen_t size = sizeof mtu;
    if (fd.is_open() &&
        ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&self), sizeof self) == 0 &&
        ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&peer), sizeof peer) == 0 &&
        ::getsockopt(fd.get(), IPPROTO_IP, IP_MTU, &mtu, &size) == 0 && mtu > 0) {
        path.mtu = static_cast<std::size_t>(mtu);
    }
    return path.mtu;
}

}  // namespace homeport::foreign_agent
