// SPDX-License-Identifier: BSD-3-Clause
// Actions of the protocol module become commands, in their order; acknowledgements wait until the
// store knows what they promise.
#include <algorithm>

#include "controlplane/core/app.hpp"
#include "controlplane/core/log.hpp"
#include "controlplane/wire/arp.hpp"
#include "controlplane/wire/mobility_header.hpp"
#include "controlplane/wire/neighbor_discovery.hpp"
#include "dataplane/channel/records.hpp"

namespace homeport::core {

namespace {

// Held messages of one round; more of them are sent and committed in between.
constexpr std::size_t kMostHeld = 512;

channel::Encapsulation encapsulation_of(binding::Encapsulation encapsulation) {
    switch (encapsulation) {
        case binding::Encapsulation::kIpv6:
            return channel::Encapsulation::kIpv6;
        case binding::Encapsulation::kIpv4:
            return channel::Encapsulation::kIpv4;
        case binding::Encapsulation::kIpv4Udp:
            return channel::Encapsulation::kUdpIpv4;
        case binding::Encapsulation::kIpv6Udp:
            return channel::Encapsulation::kUdpIpv6;
    }
    return channel::Encapsulation::kIpv6;
}

const char* text_of(mip6::RemovalReason reason) {
    switch (reason) {
        case mip6::RemovalReason::kDeregistered:
            return "deregistered";
        case mip6::RemovalReason::kExpired:
            return "expired";
        case mip6::RemovalReason::kCleared:
            return "cleared by the operator";
        case mip6::RemovalReason::kNotServed:
            return "no longer served";
        case mip6::RemovalReason::kMappingTaken:
            return "its NAT mapping was given to another, it stays until it is renewed";
    }
    return "?";
}

}  // namespace

void App::carry_out(const mip6::Actions& actions) {
    for (const mip6::Action& action : actions) {
        std::visit([this](const auto& one) { carry_out(one); }, action);
    }
    if (held_messages_.size() >= kMostHeld) finish_round();
}

void App::carry_out(const mip6::SendMobilityMessage& action) {
    held_messages_.push_back(action);
}

void App::finish_round() {
    commit_store();
    for (const mip6::SendMobilityMessage& message : held_messages_) {
        send_answer(message);
    }
    held_messages_.clear();
    mip4_.finish_round();
}

void App::send_answer(const mip6::SendMobilityMessage& message) {
    if (message.by_binding) return send_packet(message.packet, channel::kNoPort);
    channel::TransmitPacket record;
    record.reply_to = channel::WireAddress(message.reply_to);
    record.reply_to_port = message.reply_to_port;
    if (message.reply_from) {
        record.reply_from = channel::WireAddress(message.reply_from->address);
        record.reply_from_port = message.reply_from->port;
    }
    // At home the port is known; elsewhere the route to the wire source decides.
    const bool is_at_home = message.reply_to == IpAddress(message.home_address);
    send_packet(message.packet, is_at_home ? message.port : channel::kNoPort, record);
}

void App::commit_store() {
    if (!store_ || !store_is_dirty_) return;
    const auto committed = store_->commit();
    store_is_dirty_ = false;
    store_problem_ = committed ? "" : committed.error().what;
    if (!committed) {
        log_.limited(Message::kStoreWriteFailed, "bindings cannot be kept: " + store_problem_);
    }
}

void App::carry_out(const mip6::PersistBinding& action) {
    if (!store_) return;
    store_is_dirty_ = true;
    if (const auto kept = store_->persist(action.entry, clocks()); !kept) {
        store_problem_ = kept.error().what;
        log_.limited(Message::kStoreWriteFailed, "bindings cannot be kept: " + store_problem_);
    }
}

void App::carry_out(const mip6::ErasePersisted& action) {
    if (!store_) return;
    store_is_dirty_ = true;
    if (const auto erased = store_->erase(action.home_address); !erased) {
        store_problem_ = erased.error().what;
        log_.limited(Message::kStoreWriteFailed, "bindings cannot be kept: " + store_problem_);
    }
}

void App::carry_out(const mip6::InstallBinding& action) {
    send_binding(action.entry);
}

void App::send_binding(const binding::Entry& entry) {
    const config::ControlplaneConfig& config = config_.controlplane;
    if (!entry.has_tunnel()) return;
    channel::BindingSet record = tunnel_of(entry);
    record.home_address = channel::WireAddress(entry.home_address);
    record.counter_index = counter_rows_.take(entry.home_address);
    std::uint16_t flags = record.flags;
    if (!entry.virtual_home_link) {
        record.home_port = ports_.to_data_plane(entry.home_port);
        flags |= channel::kBindingProxyNd;
        if (entry.link_local) flags |= channel::kBindingLinkLocal;
    }
    if (entry.state == binding::State::kTentative) flags |= channel::kBindingTentative;
    if (entry.mobile_router) flags |= channel::kBindingRouter;
    if (config.policy.require_esp) flags |= channel::kBindingRequireEsp;
    if (config.policy.protect_payload) flags |= channel::kBindingProtected;
    if (config.tunnel.dscp == config::DscpModel::kPipe) flags |= channel::kBindingDscpPipe;
    record.flags = flags;
    if (const auto mtu = path_mtus_.find(entry.home_address); mtu != path_mtus_.end()) {
        record.path_mtu = mtu->second;
    }
    send(record);
    send_mobile_prefixes(entry);
    send_ipv4_bindings(entry, record);
}

/// The two ends of the tunnel and its form: P1, P9, P10, P15. Over IPv4 it ends where the binding
/// update came from and where it went to, whatever the mobile node calls its address.
channel::BindingSet App::tunnel_of(const binding::Entry& entry) const {
    channel::BindingSet record;
    record.encapsulation = encapsulation_of(entry.encapsulation);
    if (!entry.is_over_ipv4()) {
        record.care_of_address = channel::WireAddress(entry.care_of_address);
        record.home_agent_address = channel::WireAddress(entry.home_agent);
        record.udp_port = entry.ipv6_udp_port;
        return record;
    }
    record.care_of_address = channel::WireAddress(entry.outer_source->address);
    record.udp_port = entry.outer_source->port;
    const auto& own = config_.controlplane.home_agent.ipv4_addresses;
    if (entry.local_endpoint) {
        record.home_agent_address = channel::WireAddress(entry.local_endpoint->address);
    } else if (!own.empty()) {
        record.home_agent_address = channel::WireAddress(own.front());
    }
    if (entry.encapsulation == binding::Encapsulation::kIpv4) {
        record.flags |= channel::kBindingFollowForm;
    }
    if (config_.controlplane.dual_stack.esp_over_ipv4 == config::EspOverIpv4::kNested) {
        record.flags |= channel::kBindingNestedEsp;
    }
    return record;
}

/// Whether others on the real home link of this binding ask for the address by ARP.
bool App::is_on_home_link(const binding::Entry& entry, const Ipv4Address& address) const {
    if (entry.virtual_home_link) return false;
    return std::ranges::any_of(config_.controlplane.home_links,
                               [&](const config::HomeLinkConfig& link) {
                                   return link.prefix.contains(entry.home_address) &&
                                          link.ipv4_prefix && link.ipv4_prefix->contains(address);
                               });
}

/// P14: each IPv4 home address is a binding of its own beside the one it came with.
void App::send_ipv4_bindings(const binding::Entry& entry, channel::BindingSet record) {
    std::vector<Ipv4Address> wanted;
    wanted.reserve(entry.ipv4_homes.size());
    for (const binding::Ipv4Home& home : entry.ipv4_homes) {
        if (home.prefix.length == Ipv4Prefix::kMaxLength) wanted.push_back(home.prefix.address);
    }
    if (const auto known = ipv4_bindings_.find(entry.home_address); known != ipv4_bindings_.end()) {
        for (const Ipv4Address& address : known->second) {
            if (std::ranges::find(wanted, address) == wanted.end()) remove_ipv4_binding(address);
        }
        ipv4_bindings_.erase(known);
    }
    if (wanted.empty()) return;
    const std::uint16_t home_port = record.home_port;
    record.flags &= static_cast<std::uint16_t>(~channel::kBindingLinkLocal);
    const auto off_link = static_cast<std::uint16_t>(record.flags & ~channel::kBindingProxyNd);
    record.prefix_length = Ipv4Prefix::kMaxLength;
    for (const Ipv4Address& address : wanted) {
        // An address that no home link has is routed to this host.
        const bool on_link = is_on_home_link(entry, address);
        record.home_port = on_link ? home_port : channel::kNoPort;
        record.flags =
            on_link ? static_cast<std::uint16_t>(off_link | channel::kBindingProxyNd) : off_link;
        record.home_address = channel::WireAddress(address);
        send(record);
    }
    ipv4_bindings_.emplace(entry.home_address, std::move(wanted));
}

void App::remove_ipv4_binding(const Ipv4Address& address) {
    channel::BindingRemove record;
    record.home_address = channel::WireAddress(address);
    record.prefix_length = Ipv4Prefix::kMaxLength;
    send(record);
}

void App::remove_binding(const Ipv6Address& home_address) {
    channel::BindingRemove record;
    record.home_address = channel::WireAddress(home_address);
    send(record);
    forget_own_answer(home_address);
    if (auto held = ipv4_bindings_.extract(home_address); !held.empty()) {
        for (const Ipv4Address& address : held.mapped()) remove_ipv4_binding(address);
    }
    mobile_prefixes_.erase(home_address);  // the data plane's go with the binding
    counter_rows_.give_back(home_address);
    path_mtus_.erase(home_address);
}

/// While the address was bound the data plane answered the kernel for it. From now on the node
/// itself may, and the acknowledgement that is to follow must not go to ourselves.
void App::forget_own_answer(const Ipv6Address& home_address) {
    if (!mirror_) return;
    for (const config::HomeLinkConfig& link : config_.controlplane.home_links) {
        if (link.is_virtual() || !link.prefix.contains(home_address)) continue;
        const std::uint16_t port = ports_.to_data_plane(ports_.number_of(link.port));
        if (port == channel::kNoPort) return;
        (void)mirror_->forget_neighbour(port, home_address);
    }
}

void App::carry_out(const mip6::RemoveBinding& action) {
    remove_binding(action.home_address);
    log_.limited(Message::kBindingRemoved, [&] {
        return "binding of " + action.home_address.to_string() +
               " removed: " + text_of(action.reason);
    });
}

// ------------------------------------------------------------------- duplicate address detection

bool App::probes_home_link(std::uint16_t port) const {
    return std::ranges::any_of(
        config_.controlplane.home_links, [&](const config::HomeLinkConfig& link) {
            return !link.is_virtual() && ports_.number_of(link.port) == port &&
                   link.duplicate_address_detection;
        });
}

void App::carry_out(const mip6::StartDad& action) {
    // The data plane hands over what neighbours say about a tentative address.
    if (const auto* entry = home_agent_->bindings().find(action.home_address)) {
        send_binding(*entry);
    }
    if (!probes_home_link(action.port)) {
        return conclude_dad({action.home_address, true});
    }
    for (const auto& probe : dad_.start(action, now())) {
        send_frame(probe.port, probe.destination, probe.packet);
    }
}

void App::carry_out(const mip6::CancelDad& action) {
    dad_.cancel(action.home_address);
    remove_binding(action.home_address);
}

void App::conclude_dad(const mip6::DuplicateAddressDetection::Verdict& verdict) {
    if (!verdict.unique) {
        log_.limited(Message::kDuplicateAddress,
                     "the home address " + verdict.home_address.to_string() +
                         " is in use on its home link: the registration is refused");
    }
    carry_out(home_agent_->dad_result(verdict.home_address, verdict.unique, now()));
    const auto* entry = home_agent_->bindings().find(verdict.home_address);
    if (entry == nullptr || !entry->is_active()) remove_binding(verdict.home_address);
}

// ------------------------------------------------------------------------------------- home link

void App::carry_out(const mip6::SendUnsolicitedNeighborAdvertisement& action) {
    const auto* info = ports_.info(action.port);
    if (info == nullptr) return;
    static const Ipv6Address kAllNodes{{0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};
    send_frame(action.port, kAllNodes,
               wire::unsolicited_advertisement(action.home_agent, action.target, info->mac,
                                               action.router));
}

void App::carry_out(const mip6::SendGratuitousArp& action) {
    const auto* info = ports_.info(action.port);
    if (info != nullptr) put_frame(*info, wire::gratuitous_arp(action.target, info->mac));
}

void App::carry_out(const mip6::JoinSolicitedNode& action) {
    send_reports(mld_.join(action.port, action.group, now()));
}

void App::carry_out(const mip6::LeaveSolicitedNode& action) {
    send_reports(mld_.leave(action.port, action.group));
}

void App::send_reports(const MldResponder::Reports& reports) {
    for (const MldResponder::Report& report : reports) {
        send_frame(report.port, report.destination, report.packet);
    }
}

// --------------------------------------------------------------------------------------- packets

void App::carry_out(const mip6::SendIcmpv6& action) {
    send_packet(action.packet, action.destination.is_link_local() ? action.port : channel::kNoPort);
}

void App::carry_out(const mip6::SendBindingError& action) {
    send_packet(action.packet, action.destination.is_link_local() ? action.port : channel::kNoPort);
}

/// `record` says where on the wire it goes, if not by the binding cache and the routes.
void App::send_packet(ConstByteSpan packet, std::uint16_t port, channel::TransmitPacket record) {
    if (packet.size() > channel::kMaxPacket) return;
    record.port = port == channel::kNoPort ? port : ports_.to_data_plane(port);
    record.length = static_cast<std::uint16_t>(packet.size());
    send(record, packet);
}

// Only to groups: a neighbour's link-layer address is the data plane's business.
void App::send_frame(std::uint16_t port, const Ipv6Address& destination, ConstByteSpan packet) {
    const auto* info = ports_.info(port);
    if (info == nullptr || !destination.is_multicast()) return;
    put_frame(*info, wire::ethernet_frame(ethernet_group_of(destination), info->mac, packet));
}

void App::put_frame(const channel::PortInfo& port, ConstByteSpan frame) {
    if (frame.size() > channel::kMaxPacket) return;
    channel::TransmitFrame record;
    record.port = port.port;
    record.length = static_cast<std::uint16_t>(frame.size());
    send(record, frame);
}

// ------------------------------------------------------------------------------------------- log

void App::carry_out(const mip6::CountEvent& action) {
    // Most events are of no line in the log: nothing is made into text before it is needed.
    const auto who = [&] { return action.home_address.to_string(); };
    const auto from = [&] {
        return " from " + to_string(action.wire_source) +
               (action.wire_port != 0 ? " port " + std::to_string(action.wire_port) : "");
    };
    switch (action.counter) {
        case mip6::Counter::kBindingCreated:
            log_.limited(Message::kBindingCreated,
                         [&] { return "binding of " + who() + " created, update" + from(); });
            break;
        case mip6::Counter::kBindingSourceChanged:
            path_mtus_.erase(action.home_address);  // that of another path
            log_.limited(Message::kBindingMoved,
                         [&] { return "binding of " + who() + " moved, update" + from(); });
            break;
        case mip6::Counter::kBindingMappingTaken:
            log_.limited(Message::kMappingTaken, [&] {
                return "the NAT mapping of " + who() + ", " + to_string(action.wire_source) +
                       " port " + std::to_string(action.wire_port) + ", is that of " +
                       action.other.value_or(Ipv6Address{}).to_string() + " now";
            });
            break;
        case mip6::Counter::kBuRejected:
            log_.limited(Message::kBindingRejected, [&] {
                const auto status = action.status.value_or(wire::BindingStatus{});
                return "binding update of " + who() + from() + " refused with status " +
                       std::to_string(static_cast<unsigned>(status)) + ": " + action.detail;
            });
            break;
        case mip6::Counter::kIpsecInPolicy:
            log_.limited(Message::kUnprotectedUpdate, [&] {
                return "a binding update for " + who() + from() + " was not protected: dropped";
            });
            break;
        default:
            if (log_.is_debug()) {
                log_.debug(std::string(mip6::name(action.counter)) + " " + who() + from() + " " +
                           action.detail);
            }
            break;
    }
}

}  // namespace homeport::core
