// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/forward/arp_proxy.hpp"

#include <cstring>

#include "dataplane/forward/arp_message.hpp"
#include "dataplane/forward/stage_support.hpp"

namespace homeport::forward {

namespace {

/// The least that Ethernet carries, without its checksum.
constexpr std::uint16_t kLeastFrame = 60;

/// The binding whose home address the message asks for on the link at `port`; null: none that is
/// answered for.
const table::Binding* asked_for(const table::Tables& tables, std::uint16_t port,
                                const ArpMessage& message) {
    const std::uint32_t slot = tables.bindings.find(table::v4_mapped(message.target));
    if (slot == table::kNoSlot) return nullptr;
    const table::Binding& binding = tables.bindings.at(slot);
    const bool defended = binding.home_port == port && !binding.tentative() &&
                          (binding.flags & channel::kBindingProxyNd) != 0;
    return defended ? &binding : nullptr;
}

/// RFC 5944 section 4.6: a mobile node that comes home asks for its own address, and must not hear
/// that somebody else has it. Its own announcement tells by itself; a probe of it by the link-layer
/// address that the address has on this link.
bool is_from_the_node_itself(const table::Tables& tables, std::uint16_t port,
                             const ArpMessage& message) {
    if (message.is_announcement()) return true;
    const table::Adjacency* const known =
        tables.adjacencies.find(port, table::v4_mapped(message.target));
    return known != nullptr && known->resolved != 0 &&
           MacAddress::load(known->ethernet.data()) == message.sender_mac;
}

rte_mbuf* make_reply(stage::Worker& worker, std::uint16_t port, const ArpMessage& request) {
    rte_mbuf* const packet = rte_pktmbuf_alloc(worker.pool);
    if (packet == nullptr) return nullptr;
    auto* const frame = reinterpret_cast<std::uint8_t*>(rte_pktmbuf_append(packet, kLeastFrame));
    if (frame == nullptr) {
        rte_pktmbuf_free(packet);
        return nullptr;
    }
    std::memset(frame, 0, kLeastFrame);
    const MacAddress& own = worker.ports[port].mac;
    auto* const ethernet = reinterpret_cast<EthernetHeader*>(frame);
    ethernet->destination = request.sender_mac;
    ethernet->source = own;
    ethernet->ether_type = Be16(kEtherTypeArp);
    write_arp(frame + sizeof(EthernetHeader), {.operation = kArpReply,
                                               .sender_mac = own,
                                               .sender = request.target,
                                               .target_mac = request.sender_mac,
                                               .target = request.sender});
    stage::init_meta(packet, port).flags = stage::kMetaFrame;
    return packet;
}

}  // namespace

ArpProxyResult answer_arp(stage::Worker& worker, rte_mbuf* packet, rte_mbuf*& answer) {
    const std::uint16_t port = stage::meta(packet).in_port;
    const auto message = read_arp(bytes_of(packet));
    if (!message || message->operation != kArpRequest) return ArpProxyResult::kNotOurs;
    const table::Tables& tables = *worker.tables;
    if (asked_for(tables, port, *message) == nullptr ||
        is_from_the_node_itself(tables, port, *message)) {
        return ArpProxyResult::kNotOurs;
    }
    answer = make_reply(worker, port, *message);
    return answer != nullptr ? ArpProxyResult::kAnswered : ArpProxyResult::kNoBuffer;
}

}  // namespace homeport::forward
