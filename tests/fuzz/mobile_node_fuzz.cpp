// SPDX-License-Identifier: BSD-3-Clause
// links: mobile_node
// What the mobile node takes from the wire, from applications, from the home link and from the
// kernel's netlink. The first octet chooses.
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "dataplane/base/ip_header.hpp"
#include "tools/mobile-node/config.hpp"
#include "tools/mobile-node/home_link.hpp"
#include "tools/mobile-node/link_table.hpp"
#include "tools/mobile-node/netlink_monitor.hpp"
#include "tools/mobile-node/packet_buffer.hpp"
#include "tools/mobile-node/packet_paths.hpp"
#include "tools/mobile-node/security.hpp"

// Last: its types are the kernel's.
#include <linux/netlink.h>

using namespace homeport;
using namespace homeport::mobile_node;

namespace {

const Ipv6Address kHomeAddress = *Ipv6Address::parse("2001:db8:1::100");
const Ipv6Address kHomeAgent = *Ipv6Address::parse("2001:db8:1::1");
const Ipv6Address kCareOfAddress = *Ipv6Address::parse("2001:db8:2::200");

struct Node {
    Node() {
        Config config;
        config.home_address = kHomeAddress;
        config.home_agent = kHomeAgent;
        config.lab_unprotected = true;
        auto made = Security::create(config);
        if (!made) __builtin_trap();
        security = std::move(*made);
        paths = std::make_unique<PacketPaths>(
            PathAddresses{kHomeAddress, kHomeAgent, Ipv4Address{{192, 0, 2, 1}}}, std::uint8_t{64},
            security->engine(), counters);
        paths->set_care_of_addresses({kCareOfAddress});
    }
    Counters counters;
    std::unique_ptr<Security> security;
    std::unique_ptr<PacketPaths> paths;
    PacketBuffer buffer;
};

void netlink(ConstByteSpan octets) {
    LinkTable table(kHomeAgent, Ipv6Prefix{kHomeAddress, 64}.masked());
    std::vector<std::uint64_t> aligned(octets.size() / 8 + 3);
    auto* message = reinterpret_cast<nlmsghdr*>(aligned.data());
    std::memcpy(message, octets.data(), octets.size());
    if (octets.size() < sizeof(nlmsghdr)) return;
    message->nlmsg_len = static_cast<std::uint32_t>(octets.size());
    apply_message(*message, table);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static Node node;
    if (size == 0) return 0;
    const ConstByteSpan octets(data + 1, size - 1);
    switch (data[0] % 4) {
        case 0: {
            Packet packet = node.buffer.fill(octets);
            (void)node.paths->inbound(packet);
            break;
        }
        case 1: {
            Packet packet = node.buffer.fill(octets);
            const auto how = node.paths->outbound(packet);
            if (how != PacketPaths::Leave::kDropped) {
                (void)node.paths->to_wire(packet, how, kCareOfAddress);
            }
            break;
        }
        case 2:
            (void)answer_solicitation(octets, kHomeAddress, MacAddress{}, data[0] > 128);
            break;
        default:
            netlink(octets);
            break;
    }
    return 0;
}
