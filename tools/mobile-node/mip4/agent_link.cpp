// SPDX-License-Identifier: BSD-3-Clause
#include "tools/mobile-node/mip4/agent_link.hpp"

#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstring>

#include "controlplane/wire/arp.hpp"
#include "dataplane/base/ip_header.hpp"

namespace homeport::mobile_node {

namespace {

constexpr int kReceiveBuffer = 4 << 20;
constexpr std::uint16_t kEtherIpv4 = ETH_P_IP;

std::uint16_t network_order(std::uint16_t value) {
    std::uint16_t out = 0;
    store_be16(reinterpret_cast<std::uint8_t*>(&out), value);
    return out;
}

}  // namespace

Result<AgentLink> AgentLink::open(int index, const std::string& name) {
    FileDescriptor packets(::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!packets.is_open()) return fail_errno("packet socket on " + name);
    FileDescriptor raw(::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_RAW));
    if (!raw.is_open()) return fail_errno("raw socket on " + name);
    if (::setsockopt(raw.get(), SOL_SOCKET, SO_BINDTODEVICE, name.c_str(),
                     static_cast<socklen_t>(name.size() + 1)) < 0) {
        return fail_errno("raw socket on " + name);
    }
    (void)::setsockopt(packets.get(), SOL_SOCKET, SO_RCVBUFFORCE, &kReceiveBuffer,
                       sizeof kReceiveBuffer);
    AgentLink link(index, std::move(packets), std::move(raw));
    // The filter first: nothing else may be waiting in the socket.
    if (auto done = link.set_filter({}, {}); !done) return std::unexpected(done.error());
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = network_order(kEtherIpv4);
    address.sll_ifindex = index;
    if (::bind(link.packets_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) <
        0) {
        return fail_errno("packet socket on " + name);
    }
    return link;
}

Result<void> AgentLink::set_filter(const Ipv4Address& home, const Ipv4Address& external) {
    constexpr std::uint32_t kNobody = 1;  // 0.0.0.1: nobody has it
    const auto value = [&](const Ipv4Address& address) {
        return address.is_unspecified() ? kNobody : address.host();
    };
    // Offsets count from the IP header. What we send ourselves is left out, too.
    std::array<sock_filter, 12> program{{
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(SKF_AD_OFF + SKF_AD_PKTTYPE)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_OUTGOING, 8, 0),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 16),  // destination
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value(home), 7, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value(external), 6, 0),
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 9),  // protocol
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_ICMP, 0, 3),
        BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
        BPF_STMT(BPF_LD | BPF_B | BPF_IND, 0),  // type
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 9, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, 0xffff),
    }};
    const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
    if (::setsockopt(packets_.get(), SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) < 0) {
        return fail_errno("packet filter");
    }
    return {};
}

AgentLink::Received AgentLink::receive(ByteSpan buffer) {
    sockaddr_ll from{};
    socklen_t size = sizeof from;
    const auto length = ::recvfrom(packets_.get(), buffer.data(), buffer.size(), 0,
                                   reinterpret_cast<sockaddr*>(&from), &size);
    if (length <= 0) return {};
    Received out;
    out.length = static_cast<std::size_t>(length);
    if (from.sll_halen == 6) out.source = MacAddress::load(from.sll_addr);
    return out;
}

bool AgentLink::send(ConstByteSpan packet, const MacAddress& to) {
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = network_order(kEtherIpv4);
    address.sll_ifindex = index_;
    address.sll_halen = 6;
    to.store(address.sll_addr);
    return ::sendto(packets_.get(), packet.data(), packet.size(), 0,
                    reinterpret_cast<const sockaddr*>(&address), sizeof address) >= 0;
}

bool AgentLink::announce(const Ipv4Address& address, const MacAddress& mac) {
    constexpr std::size_t kEthernetHeader = 14;
    constexpr std::size_t kArp = 28;
    const auto frame = wire::gratuitous_arp(address, mac);
    sockaddr_ll to{};
    to.sll_family = AF_PACKET;
    to.sll_protocol = network_order(ETH_P_ARP);
    to.sll_ifindex = index_;
    to.sll_halen = 6;
    std::memset(to.sll_addr, 0xff, to.sll_halen);
    return frame.size() >= kEthernetHeader + kArp &&
           ::sendto(packets_.get(), frame.data() + kEthernetHeader, kArp, 0,
                    reinterpret_cast<const sockaddr*>(&to), sizeof to) >= 0;
}

bool AgentLink::send_native(ConstByteSpan packet) {
    if (packet.size() < sizeof(Ipv4Header)) return false;
    sockaddr_in address{};
    address.sin_family = AF_INET;
    std::memcpy(&address.sin_addr, packet.data() + offsetof(Ipv4Header, destination), 4);
    return ::sendto(raw_.get(), packet.data(), packet.size(), 0,
                    reinterpret_cast<const sockaddr*>(&address), sizeof address) >= 0;
}

}  // namespace homeport::mobile_node
