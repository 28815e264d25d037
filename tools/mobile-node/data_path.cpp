// SPDX-License-Identifier: BSD-3-Clause
#include "tools/mobile-node/data_path.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>

#include <asio/io_context.hpp>

#include "controlplane/wire/icmpv6.hpp"
#include "dataplane/base/ip_header.hpp"
#include "dataplane/tunnel/ipv4_tunnel.hpp"
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

unsigned outer_octets(const Route& route, bool sealed, bool nested_esp) {
    using mip6::Encapsulation;
    const bool in_udp_ipv6 = route.encapsulation == Encapsulation::kUdpIpv6 && !sealed;
    if (in_udp_ipv6) return tunnel::kUdpIpv6TunnelOverhead;
    if (!route.care_of_address.is_ipv4()) return tunnel::kIpv6TunnelOverhead;
    if (sealed && nested_esp) {
        return unsigned{tunnel::kUdpIpv4TunnelOverhead} + tunnel::kIpv6TunnelOverhead;
    }
    return route.encapsulation == Encapsulation::kIpv4 ? tunnel::kIpv4TunnelOverhead
                                                       : tunnel::kUdpIpv4TunnelOverhead;
}

DataPath::DataPath(asio::io_context& context, TunDevice& tun, PacketPaths& paths,
                   SignallingSplit& split, const PathAddresses& addresses, const Options& options,
                   Counters& counters, Events events)
    : context_(context),
      tun_(tun),
      paths_(paths),
      split_(split),
      addresses_(addresses),
      options_(options),
      counters_(counters),
      events_(std::move(events)),
      gate_(split, counters),
      gate_alarm_(context, [this] { release_messages(); }),
      esp_alarm_(context, [this] { keep_esp_mapping(); }),
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
    std::optional<AccessLink4> link4;
    if (options_.ipv4_networks) {
        auto opened = AccessLink4::open(index, name);
        if (opened) {
            link4 = std::move(*opened);
        } else {
            spdlog::warn("interface {}, IPv4: {}", name, opened.error().text);
        }
    }
    auto& attached = links_.try_emplace(index, std::move(*link)).first->second;
    attached.link4 = std::move(link4);
    auto descriptors = attached.link.descriptors();
    if (attached.link4) {
        for (const int descriptor : attached.link4->descriptors()) {
            descriptors.push_back(descriptor);
        }
    }
    for (const int descriptor : descriptors) {
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

DataPath::AttachedLink* DataPath::find(int index) {
    const auto it = links_.find(index);
    return it == links_.end() ? nullptr : &it->second;
}

std::optional<Egress> DataPath::way_from(int interface, const mip6::CareOf& care_of,
                                         mip6::Encapsulation encapsulation) {
    Egress way;
    way.care_of = care_of;
    way.encapsulation = encapsulation;
    way.nested_esp = options_.nested_esp;
    const AttachedLink* attached = find(interface);
    if (!care_of.is_ipv4()) {
        if (encapsulation != mip6::Encapsulation::kUdpIpv6) return way;
        if (attached == nullptr || !attached->link.has_udp()) return std::nullopt;
        way.udp_port = tunnel::kDsmipPort;
        return way;
    }
    if (attached == nullptr || !attached->link4) return std::nullopt;
    way.udp_port = attached->link4->udp_port();
    way.esp_port = attached->link4->esp_port();
    return way;
}

SendResult DataPath::send_on(int interface, ConstByteSpan packet) {
    AttachedLink* attached = find(interface);
    if (attached == nullptr || packet.empty()) return SendResult::kFailed;
    if (packet[0] >> 4 == 6) return attached->link.send(packet);
    return attached->link4 ? attached->link4->send(packet) : SendResult::kFailed;
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
    if (route_.kind == Route::Kind::kNone || find(route_.interface) == nullptr) {
        return hold(packet);
    }
    const bool at_home = route_.kind == Route::Kind::kHome;
    if (at_home && packet.data[0] >> 4 != 6) return counters_.add(Counter::kDropNoBinding);
    const PacketPaths::Leave how = paths_.protect(packet);
    if (how != PacketPaths::Leave::kDropped) (void)dispatch(packet, how);
}

bool DataPath::dispatch(Packet& packet, PacketPaths::Leave how) {
    using Kind = SignallingSplit::Kind;
    Kind kind = Kind::kData;
    if (how == PacketPaths::Leave::kSealed && packet.length >= sizeof(Ipv6Header) + 4) {
        kind = split_.classify(load_be32(packet.data + sizeof(Ipv6Header)),
                               std::chrono::steady_clock::now());
    } else {
        kind = paths_.unsealed_kind(packet);
        if (kind != Kind::kData) split_.disarm(kind);
    }
    switch (kind) {
        case Kind::kBindingUpdate:
            return send_update(packet);
        case Kind::kPrefixSolicitation:
            return send_solicitation(packet);
        case Kind::kData:
            break;
    }
    return send_payload(packet, how);
}

bool DataPath::send_payload(Packet& packet, PacketPaths::Leave how) {
    const bool at_home = route_.kind == Route::Kind::kHome;
    if (route_.kind == Route::Kind::kNone) {
        counters_.add(Counter::kDropNoBinding);
        return false;
    }
    if (!at_home && !paths_.to_wire(packet, how, way_)) return false;
    switch (send_on(route_.interface, packet.bytes())) {
        case SendResult::kSent:
            counters_.add(at_home ? Counter::kHomeSent : Counter::kTunnelSent);
            note_left(how);
            return true;
        case SendResult::kTooBig:
            counters_.add(Counter::kDropTooBig);
            return false;
        case SendResult::kFailed:
            counters_.add(Counter::kDropSend);
            return false;
    }
    return false;
}

void DataPath::note_left(PacketPaths::Leave how) {
    if (way_.encapsulation == mip6::Encapsulation::kUdpIpv6) {
        if (how == PacketPaths::Leave::kPlain) counters_.add(Counter::kUdpSent);
        return;
    }
    if (way_.encapsulation != mip6::Encapsulation::kUdpIpv4) return;
    const bool on_4500 = how == PacketPaths::Leave::kSealed && !options_.nested_esp;
    (on_4500 ? last_esp_ : last_udp_) = std::chrono::steady_clock::now();
    if (!on_4500) counters_.add(Counter::kUdpSent);
}

void DataPath::set_route(const Route& route) {
    route_ = route;
    way_ = {};
    if (route_.kind == Route::Kind::kTunnel) {
        way_ = way_from(route.interface, route.care_of_address, route.encapsulation)
                   .value_or(Egress{});
        if (way_.care_of != route.care_of_address) route_.kind = Route::Kind::kNone;
    }
    keep_esp_mapping();
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

// ---------------------------------------------------------------------------------- signalling

bool DataPath::send_binding_update(ConstByteSpan packet, int interface,
                                   const std::optional<mip6::CareOf>& care_of_address) {
    update_ = Update{interface, std::nullopt};
    if (care_of_address) {
        const auto form =
            care_of_address->is_ipv4() ? mip6::Encapsulation::kUdpIpv4 : mip6::Encapsulation::kIpv6;
        update_->way = way_from(interface, *care_of_address, form);
    }
    if (find(interface) == nullptr || (care_of_address && !update_->way)) {
        update_.reset();
        counters_.add(Counter::kDropSend);
        return false;
    }
    const bool sent = seal_and_send(SignallingSplit::Kind::kBindingUpdate, packet);
    release_messages();
    return sent;
}

bool DataPath::send_correspondent_update(ConstByteSpan packet, int interface,
                                         const std::optional<Ipv6Address>& care_of_address) {
    Packet copy = own_buffer_.fill(packet);
    if (paths_.protect(copy) == PacketPaths::Leave::kDropped) return false;
    const auto way = care_of_address ? std::optional<Egress>(*care_of_address) : std::nullopt;
    if (!paths_.signalling_to_wire(copy, SignallingSplit::Kind::kBindingUpdate, way)) return false;
    const bool sent = send_on(interface, copy.bytes()) == SendResult::kSent;
    counters_.add(sent ? Counter::kUpdateSent : Counter::kDropSend);
    return sent;
}

bool DataPath::seal_and_send(SignallingSplit::Kind kind, ConstByteSpan packet) {
    Packet copy = own_buffer_.fill(packet);
    split_.arm(kind, std::chrono::steady_clock::now());
    const PacketPaths::Leave how = paths_.protect(copy);
    return how != PacketPaths::Leave::kDropped && dispatch(copy, how);
}

bool DataPath::send_update(Packet& packet) {
    if (!update_) {
        counters_.add(Counter::kDropNoBinding);
        return false;
    }
    if (!paths_.signalling_to_wire(packet, SignallingSplit::Kind::kBindingUpdate, update_->way)) {
        return false;
    }
    const bool sent = send_on(update_->interface, packet.bytes()) == SendResult::kSent;
    counters_.add(sent ? Counter::kUpdateSent : Counter::kDropSend);
    return sent;
}

bool DataPath::send_solicitation(Packet& packet) {
    if (route_.kind != Route::Kind::kTunnel) {
        counters_.add(Counter::kDropNoBinding);
        return false;
    }
    if (!paths_.signalling_to_wire(packet, SignallingSplit::Kind::kPrefixSolicitation, way_)) {
        return false;
    }
    const bool sent = send_on(route_.interface, packet.bytes()) == SendResult::kSent;
    counters_.add(sent ? Counter::kUpdateSent : Counter::kDropSend);
    if (sent && way_.encapsulation == mip6::Encapsulation::kUdpIpv4) {
        last_udp_ = std::chrono::steady_clock::now();
    }
    return sent;
}

void DataPath::send_prefix_solicitation(ConstByteSpan packet) {
    if (!gate_.pass(SignallingSplit::Kind::kPrefixSolicitation, packet)) return release_messages();
    (void)seal_and_send(SignallingSplit::Kind::kPrefixSolicitation, packet);
}

void DataPath::send_from_home_address(ConstByteSpan packet) {
    if (route_.kind == Route::Kind::kNone) return counters_.add(Counter::kDropNoBinding);
    if (!gate_.pass(SignallingSplit::Kind::kData, packet)) return release_messages();
    Packet copy = own_buffer_.fill(packet);
    if (paths_.admit(copy)) leave(copy);
}

void DataPath::release_messages() {
    split_.expire(std::chrono::steady_clock::now());
    // Table S1-B: while the window is open, what looks like the update goes its way.
    if (const auto deadline = split_.next_deadline()) return gate_alarm_.set(*deadline);
    update_.reset();
    for (const MessageGate::Message& one : gate_.take()) {
        if (one.kind == SignallingSplit::Kind::kData) {
            send_from_home_address(one.packet);
        } else {
            send_prefix_solicitation(one.packet);
        }
    }
}

bool DataPath::send(int interface, ConstByteSpan packet) {
    return send_on(interface, packet) == SendResult::kSent;
}

// ---------------------------------------------------------------------------------- UDP 4500

bool DataPath::uses_esp_in_udp() const {
    return route_.kind == Route::Kind::kTunnel && options_.payload_is_sealed &&
           !options_.nested_esp && way_.encapsulation == mip6::Encapsulation::kUdpIpv4;
}

void DataPath::open_esp_mapping() {
    if (!uses_esp_in_udp()) return;
    Ipv6Header header{};
    header.set_version_class_flow(0, 0);
    header.next_header = number(IpProtocol::kNoNextHeader);
    header.hop_limit = 1;
    header.source = addresses_.home_address;
    header.destination = addresses_.home_agent;
    std::array<std::uint8_t, sizeof header> octets;
    std::memcpy(octets.data(), &header, sizeof header);
    Packet packet = own_buffer_.fill(octets);
    leave(packet);
}

// RFC 3948 section 4.
void DataPath::keep_esp_mapping() {
    if (!uses_esp_in_udp() || options_.esp_keepalive == std::chrono::seconds::zero()) {
        return esp_alarm_.clear();
    }
    const auto now = std::chrono::steady_clock::now();
    if (last_esp_ + options_.esp_keepalive <= now) {
        AttachedLink* attached = find(route_.interface);
        if (attached != nullptr && attached->link4 &&
            attached->link4->send_keepalive(way_.care_of.ipv4(), way_.care_of.home_agent()) ==
                SendResult::kSent) {
            counters_.add(Counter::kEspKeepaliveSent);
        }
        last_esp_ = now;
    }
    esp_alarm_.set(last_esp_ + options_.esp_keepalive);
}

// ------------------------------------------------------------------------------------- inbound

void DataPath::link_ready(int index, int descriptor) {
    for (int i = 0; i < kMostPackets; ++i) {
        // What a packet sets off may close the link.
        AttachedLink* attached = find(index);
        if (attached == nullptr) return;
        const auto of_ipv4 = attached->link4 ? attached->link4->descriptors() : std::vector<int>{};
        const bool over_ipv4 = std::ranges::find(of_ipv4, descriptor) != of_ipv4.end();
        for (int errors = 0; i == 0 && errors < kMostPackets; ++errors) {
            const auto news = over_ipv4 ? attached->link4->receive_error(descriptor)
                                        : attached->link.receive_error(descriptor);
            if (!news) break;
            packet_too_big(index, over_ipv4, *news);
        }
        const auto length = over_ipv4 ? attached->link4->receive(descriptor, buffer_.room())
                                      : attached->link.receive(descriptor, buffer_.room());
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
    const bool is_ipv6 = packet.data[0] >> 4 == 6;
    if (is_ipv6 && packet.data[offsetof(Ipv6Header, next_header)] == number(IpProtocol::kIcmpv6)) {
        return events_.icmp_error(packet.bytes());
    }
    Origin origin;
    origin.from_home_agent = paths_.is_from_home_agent(packet);
    const auto arrival = paths_.inbound(packet);
    switch (arrival.what) {
        case PacketPaths::Arrived::kDropped:
            return;
        case PacketPaths::Arrived::kSignalling:
            origin.is_protected = arrival.is_protected;
            origin.had_routing_header = arrival.had_routing_header;
            return events_.signalling(packet.bytes(), origin);
        case PacketPaths::Arrived::kPayload:
            break;
    }
    if (origin.from_home_agent && events_.tunnelled) events_.tunnelled(packet.bytes());
    counters_.add(tun_.write(packet.bytes()) ? Counter::kTunDelivered : Counter::kDropTunWrite);
}

// RFC 2473 section 8.1: the tunnel's MTU becomes smaller, and the sender of the packet, who sits
// behind the TUN device, is told at once.
void DataPath::packet_too_big(int index, bool over_ipv4, const PacketTooBig& news) {
    counters_.add(Counter::kPacketTooBig);
    if (route_.kind != Route::Kind::kTunnel || route_.interface != index ||
        route_.care_of_address.is_ipv4() != over_ipv4) {
        return;
    }
    events_.path_mtu(news.mtu);
    const unsigned outer = outer_octets(route_, false, false);
    if (news.mtu < outer || news.inner.size() < sizeof(Ipv6Header) || news.inner[0] >> 4 != 6) {
        return;
    }
    tell_too_big(news.inner, news.mtu - outer);
}

void DataPath::tell_too_big(ConstByteSpan packet_in, unsigned mtu) {
    Ipv6Header inner;
    std::memcpy(&inner, packet_in.data(), sizeof inner);
    const std::size_t length = sizeof inner + inner.payload_length.host();
    const bool is_ours =
        inner.source == addresses_.home_address || paths_.mobile_network().holds(inner.source);
    if (!is_ours || length <= kIpv6MinimumMtu) return;
    wire::Icmpv6ErrorMessage error;
    error.type = wire::Icmpv6Type::kPacketTooBig;
    error.parameter = tunnel::packet_too_big_mtu(mtu);
    error.invoking_packet.assign(packet_in.begin(), packet_in.end());
    const auto packet = wire::icmpv6_error_packet(error, addresses_.home_address, inner.source);
    if (!packet.empty() && !tun_.write(packet)) counters_.add(Counter::kDropTunWrite);
}

unsigned DataPath::known_path_mtu() const {
    const auto it = links_.find(route_.interface);
    if (route_.kind != Route::Kind::kTunnel || it == links_.end()) return 0;
    const mip6::CareOf& from = route_.care_of_address;
    if (!from.is_ipv4()) return it->second.link.path_mtu(from.ipv6(), addresses_.home_agent);
    return it->second.link4 ? it->second.link4->path_mtu(from.ipv4(), from.home_agent()) : 0;
}

}  // namespace homeport::mobile_node
