// SPDX-License-Identifier: BSD-3-Clause
#include "tools/mobile-node/data_path.hpp"

#include <spdlog/spdlog.h>

#include <asio/io_context.hpp>

#include "controlplane/wire/icmpv6.hpp"
#include "dataplane/base/ip_header.hpp"
#include "dataplane/tunnel/encapsulate.hpp"
#include "dataplane/tunnel/overhead.hpp"
#include "dataplane/tunnel/rewrite.hpp"

namespace homeport::mobile_node {

namespace {

constexpr int kMostPackets = 64;  // taken from one descriptor before others get their turn

}  // namespace

const char* to_string(Route::Kind kind) {
    switch (kind) {
        case Route::Kind::kNone:
            return "none";
        case Route::Kind::kTunnel:
            return "tunnel";
        case Route::Kind::kHome:
            return "home";
    }
    return "?";
}

DataPath::DataPath(asio::io_context& context, TunDevice& tun, PacketPaths& paths,
                   const Ipv6Address& home_address, const Ipv6Address& home_agent,
                   Counters& counters, Events events)
    : context_(context),
      tun_(tun),
      paths_(paths),
      home_address_(home_address),
      home_agent_(home_agent),
      counters_(counters),
      events_(std::move(events)),
      held_alarm_(context, [this] { drop_expired(); }),
      tun_readiness_(context, tun.descriptor(), [this] { tun_ready(); }) {}

// --------------------------------------------------------------------------------------- links

bool DataPath::add_link(int index, const std::string& name) {
    if (links_.contains(index)) return true;
    auto link = AccessLink::open(index, name, events_.icmp_error != nullptr);
    if (!link) {
        spdlog::warn("interface {}: {}", name, link.error().text);
        return false;
    }
    auto& attached = links_.try_emplace(index, std::move(*link)).first->second;
    for (const int descriptor : attached.link.descriptors()) {
        attached.readiness.emplace_back(
            context_, descriptor, [this, index, descriptor] { link_ready(index, descriptor); });
    }
    return true;
}

void DataPath::remove_link(int index) {
    links_.erase(index);
}

std::vector<int> DataPath::links() const {
    std::vector<int> out;
    for (const auto& [index, attached] : links_) out.push_back(index);
    return out;
}

AccessLink* DataPath::find(int index) {
    const auto it = links_.find(index);
    return it == links_.end() ? nullptr : &it->second.link;
}

// ------------------------------------------------------------------------------------ outbound

void DataPath::tun_ready() {
    for (int i = 0; i < kMostPackets; ++i) {
        const auto length = tun_.read(buffer_.room());
        if (!length) {
            spdlog::error("{}", length.error().text);
            return;
        }
        if (*length == 0) return;
        counters_.add(Counter::kTunReceived);
        Packet packet = buffer_.packet(*length);
        if (paths_.admit(packet)) leave(packet);
    }
}

void DataPath::leave(Packet& packet) {
    AccessLink* link = find(route_.interface);
    if (route_.kind == Route::Kind::kNone || link == nullptr) return hold(packet);
    const bool at_home = route_.kind == Route::Kind::kHome;
    if (at_home && packet.data[0] >> 4 != 6) return counters_.add(Counter::kDropNoBinding);
    const PacketPaths::Leave how = paths_.protect(packet);
    if (how == PacketPaths::Leave::kDropped) return;
    if (!at_home && !paths_.to_wire(packet, how, route_.care_of_address)) return;
    switch (link->send(packet.bytes())) {
        case SendResult::kSent:
            return counters_.add(at_home ? Counter::kHomeSent : Counter::kTunnelSent);
        case SendResult::kTooBig:
            return counters_.add(Counter::kDropTooBig);
        case SendResult::kFailed:
            return counters_.add(Counter::kDropSend);
    }
}

void DataPath::set_route(const Route& route) {
    route_ = route;
    if (route_.kind == Route::Kind::kNone) return;
    drop_expired();
    auto held = std::exchange(held_, {});
    for (const Held& one : held) {
        Packet packet = own_buffer_.fill(one.packet);
        leave(packet);
    }
}

void DataPath::set_holding(bool holding) {
    holding_ = holding;
    if (holding_ || route_.kind != Route::Kind::kNone) return;
    counters_.add(Counter::kDropNoBinding, held_.size());
    held_.clear();
}

void DataPath::hold(const Packet& packet) {
    if (!holding_) return counters_.add(Counter::kDropNoBinding);
    if (held_.size() >= kMostHeld) return counters_.add(Counter::kDropQueueFull);
    const auto now = std::chrono::steady_clock::now();
    held_.push_back({{packet.data, packet.data + packet.length}, now});
    counters_.add(Counter::kQueued);
    if (held_.size() == 1) held_alarm_.set(now + kLongestHeld);
}

void DataPath::drop_expired() {
    const auto limit = std::chrono::steady_clock::now() - kLongestHeld;
    while (!held_.empty() && held_.front().since <= limit) {
        counters_.add(Counter::kDropQueueExpired);
        held_.pop_front();
    }
    if (!held_.empty()) held_alarm_.set(held_.front().since + kLongestHeld);
}

bool DataPath::send_binding_update(ConstByteSpan packet, int interface,
                                   const std::optional<Ipv6Address>& care_of_address) {
    AccessLink* link = find(interface);
    if (link == nullptr) {
        counters_.add(Counter::kDropSend);
        return false;
    }
    Packet copy = own_buffer_.fill(packet);
    if (!paths_.binding_update_to_wire(copy, care_of_address)) return false;
    const bool sent = link->send(copy.bytes()) == SendResult::kSent;
    counters_.add(sent ? Counter::kUpdateSent : Counter::kDropSend);
    return sent;
}

void DataPath::send_from_home_address(ConstByteSpan packet) {
    if (route_.kind == Route::Kind::kNone) return counters_.add(Counter::kDropNoBinding);
    Packet copy = own_buffer_.fill(packet);
    if (paths_.admit(copy)) leave(copy);
}

bool DataPath::send(int interface, ConstByteSpan packet) {
    AccessLink* link = find(interface);
    return link != nullptr && link->send(packet) == SendResult::kSent;
}

// ------------------------------------------------------------------------------------- inbound

void DataPath::link_ready(int index, int descriptor) {
    for (int i = 0; i < kMostPackets; ++i) {
        // What a packet sets off may close the link.
        AccessLink* link = find(index);
        if (link == nullptr) return;
        if (i == 0) {
            while (auto news = link->receive_error(descriptor)) packet_too_big(index, *news);
        }
        const auto length = link->receive(descriptor, buffer_.room());
        if (!length) {
            counters_.add(Counter::kInMalformed);
            spdlog::debug("{}", length.error().text);
            continue;
        }
        if (*length == 0) return;
        Packet packet = buffer_.packet(*length);
        arrive(packet);
    }
}

void DataPath::arrive(Packet& packet) {
    const std::uint8_t protocol = packet.data[offsetof(Ipv6Header, next_header)];
    if (protocol == number(IpProtocol::kIcmpv6)) return events_.icmp_error(packet.bytes());
    Origin origin;
    origin.from_home_agent = tunnel::source_of(packet.bytes()) == home_agent_;
    origin.had_routing_header = protocol == number(IpProtocol::kRouting);
    const auto arrival = paths_.inbound(packet);
    switch (arrival.what) {
        case PacketPaths::Arrived::kDropped:
            return;
        case PacketPaths::Arrived::kSignalling:
            origin.is_protected = arrival.is_protected;
            return events_.signalling(packet.bytes(), origin);
        case PacketPaths::Arrived::kPayload:
            break;
    }
    if (origin.from_home_agent && events_.tunnelled) events_.tunnelled(packet.bytes());
    counters_.add(tun_.write(packet.bytes()) ? Counter::kTunDelivered : Counter::kDropTunWrite);
}

// RFC 2473 section 8.1: the tunnel's MTU becomes smaller, and the sender of the packet, who sits
// behind the TUN device, is told at once.
void DataPath::packet_too_big(int index, const PacketTooBig& news) {
    counters_.add(Counter::kPacketTooBig);
    if (route_.kind != Route::Kind::kTunnel || route_.interface != index) return;
    events_.path_mtu(news.mtu);
    if (news.mtu < tunnel::kIpv6TunnelOverhead || news.inner.size() < sizeof(Ipv6Header) ||
        news.inner[0] >> 4 != 6) {
        return;
    }
    tell_too_big(news.inner, news.mtu - tunnel::kIpv6TunnelOverhead);
}

void DataPath::tell_too_big(ConstByteSpan packet_in, unsigned mtu) {
    Ipv6Header inner;
    std::memcpy(&inner, packet_in.data(), sizeof inner);
    const std::size_t length = sizeof inner + inner.payload_length.host();
    if (inner.source != home_address_ || length <= kIpv6MinimumMtu) return;
    wire::Icmpv6ErrorMessage error;
    error.type = wire::Icmpv6Type::kPacketTooBig;
    error.parameter = tunnel::packet_too_big_mtu(mtu);
    error.invoking_packet.assign(packet_in.begin(), packet_in.end());
    const auto packet = wire::icmpv6_error_packet(error, home_address_, home_address_);
    if (!packet.empty() && !tun_.write(packet)) counters_.add(Counter::kDropTunWrite);
}

unsigned DataPath::known_path_mtu(const Ipv6Address& home_agent) const {
    const auto it = links_.find(route_.interface);
    if (route_.kind != Route::Kind::kTunnel || it == links_.end()) return 0;
    return it->second.link.path_mtu(route_.care_of_address, home_agent);
}

}  // namespace homeport::mobile_node
