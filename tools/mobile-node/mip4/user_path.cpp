// SPDX-License-Identifier: BSD-3-Clause
#include "tools/mobile-node/mip4/user_path.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "controlplane/wire/mip4_messages.hpp"
#include "dataplane/base/ip_header.hpp"
#include "dataplane/tunnel/udp_tunnel.hpp"
#include "tools/mobile-node/mip4/packets.hpp"

namespace homeport::mobile_node {

namespace {

constexpr std::uint16_t kEchoIdentifier = 0x4d49;

bool stays_on_link(const Ipv4Address& destination) {
    return destination.is_link_local() || destination.is_loopback() || destination.is_broadcast() ||
           destination.is_multicast();
}

}  // namespace

unsigned overhead_of(const mip4::Way& way, unsigned esp, bool esp_in_udp) {
    if (way.home) return 0;
    if (!way.vpn()) return way.internal.overhead();
    return way.internal.overhead() + esp + (esp_in_udp ? unsigned{sizeof(UdpHeader)} : 0) +
           way.external->overhead();
}

const char* mode_of(const mip4::Way& way) {
    if (way.home) return "home";
    if (!way.vpn()) return way.internal.care_of.co_located ? "c" : "f";
    return way.external->care_of.co_located ? "cvc" : "fvc";
}

UserPath::UserPath(mip4::MobileNode& node, Layers& layers, Counters& counters, Options options,
                   Hooks hooks)
    : node_(node),
      layers_(layers),
      counters_(counters),
      options_(std::move(options)),
      hooks_(std::move(hooks)) {}

Layers::Link UserPath::link_of(int interface) const {
    const auto it = links_.find(interface);
    return it == links_.end() ? Layers::Link{} : it->second;
}

unsigned UserPath::mtu_of(const mip4::Way& way) const {
    unsigned room = link_of(way.interface).mtu;
    if (way.home) return std::max(room, kLeastMtu);
    const auto less = [&](unsigned octets) { room = room > octets ? room - octets : 0; };
    if (way.vpn()) {
        less(way.external->overhead());
        if (layers_.esp_in_udp()) less(sizeof(UdpHeader));
        if (options_.largest_inside) room = options_.largest_inside(room);
    }
    less(way.internal.overhead());
    return std::max(room, kLeastMtu);
}

bool UserPath::put_out(int interface, Exit exit, const Packet& packet) {
    if (hooks_.send(interface, exit, packet.bytes())) return true;
    counters_.add(Counter::kDropSend);
    return false;
}

// ------------------------------------------------------------------------------------ user data

bool UserPath::admit(Packet& packet) {
    const Ipv4Header* const ip = trim_ipv4(packet);
    if (ip == nullptr) {
        counters_.add(Counter::kDropMalformed);
    } else if (stays_on_link(ip->destination)) {
        counters_.add(Counter::kDropLinkLocal);
    } else if (node_.home_address().is_unspecified()) {
        counters_.add(Counter::kDropNoBinding);
    } else if (ip->source != node_.home_address()) {
        counters_.add(Counter::kDropNotHomeAddress);
    } else {
        return true;
    }
    return false;
}

void UserPath::from_application(Packet& packet, const mip4::Now& now) {
    counters_.add(Counter::kTunReceived);
    if (!admit(packet)) return;
    auto way = node_.way(now.steady);
    if (!way) return hold(packet, now);
    perform(node_.traffic(way->interface, now), now);
    leave(packet, *way, now);
}

void UserPath::leave(Packet& packet, const mip4::Way& way, const mip4::Now& now) {
    if (way.vpn() && options_.mss_clamp && clamp_mss(packet, mtu_of(way))) {
        counters_.add(Counter::kMssClamped);
    }
    const auto exit = layers_.out(packet, way, link_of(way.interface));
    if (!exit || !put_out(way.interface, *exit, packet)) return;
    const bool native = !way.vpn() && *exit != Exit::kCareOf;
    counters_.add(native ? Counter::kNativeSent : Counter::kTunnelSent);
    if (!way.vpn()) return node_.sent(way.interface, mip4::Leg::kInternalDirect, now.steady);
    counters_.add(Counter::kVpnSent);
    last_esp_ = now.steady;
    node_.sent(way.interface, mip4::Leg::kInternalVpn, now.steady);
    node_.sent(way.interface, mip4::Leg::kExternal, now.steady);
}

// S2.51: what may wait waits for one interface, and goes with a change of it (S2.52).
void UserPath::hold(const Packet& packet, const mip4::Now& now) {
    const auto stale = node_.waits_for(now.steady);
    std::optional<int> interface = stale;
    for (const int id : node_.interfaces()) {
        if (!interface && node_.attachment(id)) interface = id;
    }
    if (!interface) return counters_.add(Counter::kDropNoBinding);
    if (!options_.queue) {
        return counters_.add(stale ? Counter::kDropMonitor : Counter::kDropNoBinding);
    }
    if (held_.size() >= options_.queue_size) return counters_.add(Counter::kDropQueueFull);
    held_.push_back({*interface, {packet.data, packet.data + packet.length}, now.steady});
    counters_.add(stale ? Counter::kQueueMonitor : Counter::kQueued);
    // S2.56: the first packet after a pause has inside verified.
    if (stale) perform(node_.traffic(*stale, now), now);
}

std::size_t UserPath::queued(int interface) const {
    return static_cast<std::size_t>(std::ranges::count(held_, interface, &Held::interface));
}

void UserPath::flush(int interface) {
    const auto gone =
        std::erase_if(held_, [&](const Held& one) { return one.interface == interface; });
    counters_.add(Counter::kQueueFlushed, gone);
}

void UserPath::release(const mip4::Now& now) {
    auto held = std::exchange(held_, {});
    for (Held& one : held) {
        if (one.since + kLongestHeld < now.steady) {
            counters_.add(Counter::kDropQueueExpired);
            continue;
        }
        const auto way = node_.way(now.steady);
        if (!way) {
            held_.push_back(std::move(one));
            continue;
        }
        Packet packet = buffer_.fill(one.packet);
        leave(packet, *way, now);
    }
}

void UserPath::from_wire(Packet& packet, int interface, bool native, const mip4::Now& now) {
    const std::uint64_t too_old = counters_[Counter::kDropMonitor];
    const Layers::Arrival arrival = layers_.in(packet, interface, native, now.steady);
    switch (arrival.what) {
        case Layers::Arrived::kDropped:
            // S2.56: the first packet that comes after a pause has inside verified.
            if (counters_[Counter::kDropMonitor] != too_old) {
                perform(node_.traffic(interface, now), now);
            }
            return;
        case Layers::Arrived::kUser:
            if (arrival.through_vpn && options_.mss_clamp) {
                const auto way = node_.way_of(interface, now.steady);
                if (way && clamp_mss(packet, mtu_of(*way))) counters_.add(Counter::kMssClamped);
            }
            perform(node_.traffic(interface, now), now);
            counters_.add(hooks_.deliver(packet.bytes()) ? Counter::kTunDelivered
                                                         : Counter::kDropTunWrite);
            return;
        case Layers::Arrived::kRegistration:
            counters_.add(Counter::kReplyReceived);
            return perform(node_.receive({interface, arrival.through_vpn, arrival.source},
                                         packet.bytes(), now),
                           now);
        case Layers::Arrived::kKeepalive:
            return node_.keepalive_answered(interface, arrival.leg, now.steady);
    }
}

// ------------------------------------------------------------------------------------- protocol

void UserPath::perform(const mip4::MobileActions& actions, const mip4::Now& now) {
    using namespace mip4;
    for (const MobileAction& action : actions) {
        if (const auto* message = std::get_if<SendRegistration>(&action)) {
            send_registration(*message);
        } else if (const auto* keepalive = std::get_if<SendKeepalive>(&action)) {
            send_keepalive(*keepalive);
        } else if (const auto* start = std::get_if<StartVpnBy>(&action)) {
            hooks_.event(action);
            // Static SAs are there; whether the gateway answers, the registration shows.
            perform(node_.vpn_up(start->interface, now), now);
        } else if (const auto* emptied = std::get_if<FlushUserQueue>(&action)) {
            flush(emptied->interface);
        } else if (std::holds_alternative<ReleaseUserQueue>(action)) {
            release(now);
        } else {
            if (std::holds_alternative<VpnFailed>(action)) vpn_failed();
            if (const auto* result = std::get_if<RegistrationResult>(&action);
                result != nullptr && result->outcome.kind == RegistrationOutcome::Kind::kIgnored) {
                counters_.add(Counter::kReplyIgnored);
            }
            hooks_.event(action);
        }
    }
    keep_esp_mapping(now);
}

void UserPath::vpn_failed() {
    counters_.add(Counter::kVpnSetupFail);
    // S2.35: a NAT on the way does not tell; what was not tried yet may get through.
    if (options_.esp_in_udp_may_change) layers_.set_esp_in_udp(!layers_.esp_in_udp());
}

void UserPath::send_registration(const mip4::SendRegistration& what) {
    const Layers::Link link = link_of(what.interface);
    const bool vpn = what.leg == mip4::Leg::kInternalVpn;
    const std::uint16_t port = vpn ? Layers::kInnerPort : link.udp_port;
    const auto octets = udp_packet({what.source, port}, {what.destination, wire::kMip4Port},
                                   what.ttl, what.payload);
    Packet packet = buffer_.fill(octets);
    std::optional<Exit> exit;
    if (vpn) {
        const mip4::MobileTunnel* const external =
            node_.tunnel(what.interface, mip4::Leg::kExternal);
        if (external == nullptr) return counters_.add(Counter::kDropNoBinding);
        exit = layers_.out_through_vpn(packet, *external, link);
    } else {
        const auto& attachment = node_.attachment(what.interface);
        const bool co_located = attachment && attachment->care_of.co_located;
        exit = co_located ? Exit::kCareOf : Exit::kAgent;
    }
    if (exit && put_out(what.interface, *exit, packet)) counters_.add(Counter::kRequestSent);
}

void UserPath::send_keepalive(const mip4::SendKeepalive& what) {
    const mip4::MobileTunnel* const tunnel = node_.tunnel(what.interface, what.leg);
    if (tunnel == nullptr) return;
    const Ipv4Address& home =
        what.leg == mip4::Leg::kExternal ? node_.external_home_address() : node_.home_address();
    Packet packet =
        buffer_.fill(echo_request(home, tunnel->home_agent, kEchoIdentifier, echo_sequence_++));
    const auto exit = layers_.out_by(packet, what.interface, what.leg, link_of(what.interface));
    if (exit && put_out(what.interface, *exit, packet)) {
        counters_.add(Counter::kUdp434KeepaliveSent);
    }
}

// RFC 3948 section 4.
void UserPath::keep_esp_mapping(const mip4::Now& now) {
    const auto way = node_.way(now.steady);
    if (!way || !way->vpn() || !layers_.esp_in_udp() || options_.esp_keepalive.count() == 0) {
        return esp_deadline_.reset();
    }
    if (!esp_deadline_) last_esp_ = now.steady;
    if (last_esp_ + options_.esp_keepalive <= now.steady) {
        last_esp_ = now.steady;
        constexpr std::array<std::uint8_t, 1> kOctet{0xff};
        const auto octets =
            udp_packet({node_.external_home_address(), Layers::kEspPort},
                       {options_.vpn_gateway, tunnel::kNatTraversalPort}, 64, kOctet);
        Packet packet = buffer_.fill(octets);
        const auto exit =
            layers_.out_by(packet, way->interface, mip4::Leg::kExternal, link_of(way->interface));
        if (exit && put_out(way->interface, *exit, packet)) {
            counters_.add(Counter::kEspKeepaliveSent);
        }
    }
    esp_deadline_ = last_esp_ + options_.esp_keepalive;
}

void UserPath::tick(const mip4::Now& now) {
    perform(node_.tick(now), now);
}

std::optional<mip4::TimePoint> UserPath::next_deadline() const {
    const auto of_node = node_.next_deadline();
    if (!of_node) return esp_deadline_;
    return esp_deadline_ ? std::min(*of_node, *esp_deadline_) : *of_node;
}

}  // namespace homeport::mobile_node
