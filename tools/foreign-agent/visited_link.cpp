// SPDX-License-Identifier: BSD-3-Clause
#include "tools/foreign-agent/visited_link.hpp"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <linux/ethtool.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <bit>
#include <functional>
#include <vector>

namespace homeport::foreign_agent {

namespace {

using mobile_node::fail;
using mobile_node::fail_errno;
using mobile_node::FileDescriptor;

ifreq request_for(const std::string& interface) {
    ifreq request{};
    std::copy_n(interface.data(), std::min(interface.size(), std::size_t{IFNAMSIZ - 1}),
                request.ifr_name);
    return request;
}

/// Calls `each` with device name, address and netmask of each IPv4 address.
void for_each_address(
    const std::function<void(const char*, const Ipv4Address&, std::uint8_t)>& each) {
    ifaddrs* all = nullptr;
    if (::getifaddrs(&all) < 0) return;
    const auto of = [](const sockaddr* address) {
        const auto raw = reinterpret_cast<const sockaddr_in*>(address)->sin_addr.s_addr;
        return Ipv4Address::load(reinterpret_cast<const std::uint8_t*>(&raw));
    };
    for (const ifaddrs* one = all; one != nullptr; one = one->ifa_next) {
        if (one->ifa_addr == nullptr || one->ifa_addr->sa_family != AF_INET) continue;
        const std::uint32_t mask = one->ifa_netmask == nullptr ? ~0u : of(one->ifa_netmask).host();
        each(one->ifa_name, of(one->ifa_addr), static_cast<std::uint8_t>(std::popcount(mask)));
    }
    ::freeifaddrs(all);
}

/// 224.0.0.2 and 224.0.0.11 on Ethernet: solicitations and requests to all agents.
constexpr std::array<MacAddress, 2> kGroups{
    {{{0x01, 0x00, 0x5e, 0x00, 0x00, 0x02}}, {{0x01, 0x00, 0x5e, 0x00, 0x00, 0x0b}}}};

}  // namespace

Result<VisitedLink> VisitedLink::open(const std::string& interface) {
    const unsigned index = ::if_nametoindex(interface.c_str());
    if (index == 0) return fail_errno("link " + interface);
    VisitedLink link(interface, static_cast<int>(index));
    link.socket_ = FileDescriptor(
        ::socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, htons(ETH_P_IP)));
    if (!link.socket_.is_open()) return fail_errno("packet socket on " + interface);
    const int fd = link.socket_.get();
    sockaddr_ll self{};
    self.sll_family = AF_PACKET;
    self.sll_protocol = htons(ETH_P_IP);
    self.sll_ifindex = link.index_;
    if (::bind(fd, reinterpret_cast<const sockaddr*>(&self), sizeof self) < 0) {
        return fail_errno("packet socket on " + interface);
    }
    const int on = 1;
    const int buffer = 4 << 20;
    (void)::setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on);
    (void)::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
    if (::setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &on, sizeof on) < 0) {
        return fail_errno("packet socket on " + interface);
    }
    for (const MacAddress& group : kGroups) {
        packet_mreq membership{};
        membership.mr_ifindex = link.index_;
        membership.mr_type = PACKET_MR_MULTICAST;
        membership.mr_alen = 6;
        group.store(membership.mr_address);
        if (::setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &membership, sizeof membership) <
            0) {
            return fail_errno("groups of agents on " + interface);
        }
    }
    for_each_address([&](const char* name, const Ipv4Address& address, std::uint8_t length) {
        if (name == interface && !link.address_) link.address_ = Ipv4Prefix{address, length};
    });
    switch_off_gro(interface);
    return link;
}

Result<std::optional<ReceivedFrame>> VisitedLink::receive(ByteSpan buffer) {
    while (true) {
        sockaddr_ll from{};
        iovec part{buffer.data(), buffer.size()};
        alignas(cmsghdr) std::array<std::uint8_t, CMSG_SPACE(sizeof(tpacket_auxdata))> control{};
        msghdr message{};
        message.msg_name = &from;
        message.msg_namelen = sizeof from;
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        message.msg_control = control.data();
        message.msg_controllen = control.size();
        const auto length = ::recvmsg(socket_.get(), &message, 0);
        if (length < 0) {
            if (errno == EINTR) continue;
            if (errno == EAGAIN) return std::optional<ReceivedFrame>{};
            return fail_errno("link " + name_);
        }
        const bool is_group =
            from.sll_pkttype == PACKET_BROADCAST || from.sll_pkttype == PACKET_MULTICAST;
        if ((!is_group && from.sll_pkttype != PACKET_HOST) || from.sll_halen != 6) continue;
        ReceivedFrame frame;
        frame.length = static_cast<std::size_t>(length);
        frame.source = MacAddress::load(from.sll_addr);
        frame.is_group = is_group;
        for (cmsghdr* one = CMSG_FIRSTHDR(&message); one != nullptr;
             one = CMSG_NXTHDR(&message, one)) {
            if (one->cmsg_level != SOL_PACKET || one->cmsg_type != PACKET_AUXDATA) continue;
            tpacket_auxdata data{};
            std::memcpy(&data, CMSG_DATA(one), sizeof data);
            frame.checksum_is_open = (data.tp_status & TP_STATUS_CSUMNOTREADY) != 0;
        }
        return std::optional<ReceivedFrame>{frame};
    }
}

bool VisitedLink::send(const MacAddress& to, ConstByteSpan packet) {
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(ETH_P_IP);
    address.sll_ifindex = index_;
    address.sll_halen = 6;
    to.store(address.sll_addr);
    while (true) {
        const auto sent = ::sendto(socket_.get(), packet.data(), packet.size(), 0,
                                   reinterpret_cast<const sockaddr*>(&address), sizeof address);
        if (sent >= 0) return true;
        if (errno != EINTR) return false;
    }
}

std::size_t VisitedLink::mtu() const {
    constexpr std::size_t kEthernet = 1500;
    ifreq request = request_for(name_);
    if (::ioctl(socket_.get(), SIOCGIFMTU, &request) < 0) return kEthernet;
    return static_cast<std::size_t>(std::max(request.ifr_mtu, 68));
}

std::optional<Ipv4Prefix> VisitedLink::prefix_of(const Ipv4Address& wanted) const {
    std::optional<Ipv4Prefix> found;
    for_each_address([&](const char* name, const Ipv4Address& address, std::uint8_t length) {
        if (name == name_ && address == wanted) found = Ipv4Prefix{address, length};
    });
    return found;
}

std::vector<Ipv4Address> addresses_of_host() {
    std::vector<Ipv4Address> all;
    for_each_address([&](const char*, const Ipv4Address& address, std::uint8_t) {
        if (!address.is_loopback()) all.push_back(address);
    });
    return all;
}

std::string device_with(const Ipv4Address& wanted) {
    std::string found;
    for_each_address([&](const char* name, const Ipv4Address& address, std::uint8_t) {
        if (address == wanted) found = name;
    });
    return found;
}

void switch_off_gro(const std::string& interface) {
    const FileDescriptor fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ethtool_value value{};
    value.cmd = ETHTOOL_SGRO;
    ifreq request = request_for(interface);
    request.ifr_data = reinterpret_cast<char*>(&value);
    if (fd.is_open()) (void)::ioctl(fd.get(), SIOCETHTOOL, &request);
}

}  // namespace homeport::foreign_agent
