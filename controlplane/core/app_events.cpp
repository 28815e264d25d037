// SPDX-License-Identifier: BSD-3-Clause
// Events of the data plane.
#include <algorithm>

#include "controlplane/core/app.hpp"
#include "controlplane/core/log.hpp"
#include "controlplane/wire/icmpv6.hpp"
#include "controlplane/wire/mobility_header.hpp"
#include "dataplane/base/ip_header.hpp"
#include "dataplane/channel/records.hpp"

namespace homeport::core {

namespace {

constexpr std::size_t kMostEarlyPunts = 1024;
constexpr std::uint8_t kHomeAddressOption = 201;
/// Of the event ring. What waits behind so much is answered late, what finds the ring full is lost,
/// refreshes too: from here on there is no room for new registrations.
constexpr std::size_t kShareForRegistrations = 16;

const char* text_of(channel::CommandError error) {
    switch (error) {
        case channel::CommandError::kMalformed:
            return "malformed";
        case channel::CommandError::kUnknownType:
            return "unknown type";
        case channel::CommandError::kUnknownPort:
            return "unknown port";
        case channel::CommandError::kTableFull:
            return "table full";
        case channel::CommandError::kRefused:
            return "refused";
        case channel::CommandError::kNoBuffer:
            return "no packet buffer";
    }
    return "?";
}

std::optional<IpAddress> ip_address_of(const channel::WireAddress& address) {
    if (address.family == 6) return IpAddress(address.v6());
    if (address.family == 4) return IpAddress(address.v4());
    return std::nullopt;
}

// The address in the Home Address option of an IPv6 packet as it came from the wire.
std::optional<Ipv6Address> find_home_address_option(ConstByteSpan packet) {
    if (packet.size() < sizeof(Ipv6Header)) return std::nullopt;
    std::uint8_t next = packet[6];
    std::size_t at = sizeof(Ipv6Header);
    while (next == number(IpProtocol::kHopByHop) || next == number(IpProtocol::kRouting) ||
           next == number(IpProtocol::kDestinationOptions)) {
        if (at + 8 > packet.size()) return std::nullopt;
        const std::size_t end = at + 8 + std::size_t{packet[at + 1]} * 8;
        if (end > packet.size()) return std::nullopt;
        if (next == number(IpProtocol::kDestinationOptions)) {
            for (std::size_t option = at + 2; option < end;) {
                if (packet[option] == 0) {  // Pad1
                    ++option;
                    continue;
                }
                if (option + 2 > end || option + 2 + packet[option + 1] > end) return std::nullopt;
                if (packet[option] == kHomeAddressOption && packet[option + 1] == 16) {
                    return Ipv6Address::load(packet.data() + option + 2);
                }
                option += 2 + std::size_t{packet[option + 1]};
            }
        }
        next = packet[at];
        at = end;
    }
    return std::nullopt;
}

}  // namespace

void App::round_began(std::size_t waiting, std::size_t capacity) {
    home_agent_->set_overloaded(waiting > capacity / kShareForRegistrations);
    events_waiting_percent_ =
        static_cast<unsigned>(waiting * 100 / std::max<std::size_t>(capacity, 1));
}

// Once a second: a line when registrations begin to be shed, one when that ends.
void App::watch_overload() {
    const std::uint64_t shed = home_agent_->counters()[mip6::Counter::kBuOverload];
    if (shed != shed_until_now_ && !sheds_) {
        sheds_ = true;
        shed_before_ = shed_until_now_;
        log_.write(Message::kOverloaded,
                   "overload: more binding updates come than can be answered; those of nodes that "
                   "are not bound are left without an answer");
    } else if (shed == shed_until_now_ && sheds_) {
        sheds_ = false;
        log_.write(Message::kOverloadEnded,
                   "the overload ended: " + std::to_string(shed - shed_before_) +
                       " binding updates were left without an answer");
    }
    shed_until_now_ = shed;
}

void App::round_ended() {
    synchronize_if_ready();
    finish_round();
    arm_timer();
}

void App::on_event(const channel::PortInfo& event) {
    const bool was_known = ports_.from_data_plane(event.port) != channel::kNoPort;
    if (!ports_.learn(event)) return;
    log_.write(Message::kPortChanged, "port " + std::string(channel::text_of(event.name)) + " (" +
                                          std::string(channel::text_of(event.driver)) + ", TAP " +
                                          std::string(channel::text_of(event.kernel_interface)) +
                                          ", " + event.mac.to_string() + "): link " +
                                          (event.link_up != 0 ? "up" : "down") + ", MTU " +
                                          std::to_string(event.mtu));
    if (mirror_)
        mirror_->set_port(std::string(channel::text_of(event.kernel_interface)), event.port);
    // One that came too late for the synchronisation may be a home link.
    if (phase_ == Phase::kRunning && !was_known) synchronize();
}

void App::on_event(const channel::FlowRuleInfo& event) {
    ports_.learn(event);
}

void App::on_event(const channel::Acknowledge&) {}

void App::on_event(const channel::CommandFailed& event) {
    ++commands_failed_;
    log_.limited(Message::kCommandFailed,
                 "the data plane did not carry out command " + std::to_string(event.number) +
                     " of type " + std::to_string(static_cast<unsigned>(event.command)) + ": " +
                     text_of(event.error) + ", " + std::string(channel::text_of(event.text)));
}

void App::on_event(const channel::SyncDone& event) {
    if (event.epoch != epoch_) return;
    synchronized_epoch_ = event.epoch;
    log_.write(Message::kSynchronized,
               "the data plane is in step: epoch " + std::to_string(event.epoch) + ", " +
                   std::to_string(home_agent_->bindings().size() + mip4_.node_count()) +
                   " bindings, " + std::to_string(sa_source_->sa_count()) + " SAs, " +
                   std::to_string(event.swept) + " old entries swept");
}

void App::on_event(const channel::Trace& event) {
    trace_.add(event);
}

void App::on_event(const channel::SaHighWater& event) {
    ledger_->note(event.spi, event.sequence);
}

void App::on_event(const channel::PathMtu& event) {
    if (event.home_address.family == 4) {
        return mip4_.note_path_mtu(event.home_address.v4(), event.mtu);
    }
    if (event.home_address.family != 6 || event.mtu > 0xffff) return;
    const Ipv6Address home_address = event.home_address.v6();
    const auto* entry = home_agent_->bindings().find(home_address);
    if (entry == nullptr || !entry->is_active()) return;
    path_mtus_[home_address] = static_cast<std::uint16_t>(event.mtu);
}

void App::on_event(const channel::EspMapping& event) {
    if (event.home_address.family != 6 || event.source.family != 4) return;
    const binding::OuterSource source{event.source.v4(), event.port};
    carry_out(home_agent_->note_esp_source(event.home_address.v6(), source, now()));
}

void App::on_event(const channel::Punt& event, ConstByteSpan packet) {
    if (phase_ == Phase::kRunning) return take_punt(event, packet);
    // The mobile node would repeat it; but why should it have to.
    if (early_punts_.size() < kMostEarlyPunts) {
        early_punts_.push_back({event, {packet.begin(), packet.end()}});
    }
}

void App::take_punt(const channel::Punt& event, ConstByteSpan packet) {
    switch (event.reason) {
        case channel::PuntReason::kMobilityHeader:
        case channel::PuntReason::kHomeAgentDiscovery:
        case channel::PuntReason::kMobilePrefix: {
            mip6::ReceiveInfo info;
            info.protected_by_ipsec = event.protected_by_ipsec != 0;
            info.had_hao = event.had_home_address_option != 0;
            info.port = ports_.from_data_plane(event.port);
            const auto source = ip_address_of(event.recorded_source);
            info.wire_port = event.recorded_port;
            if (event.recorded_local.family == 4) {
                info.local_endpoint =
                    binding::OuterSource{event.recorded_local.v4(), event.recorded_local_port};
            }
            if (source) {
                info.wire_source = *source;
            } else if (packet.size() >= sizeof(Ipv6Header)) {
                info.wire_source = Ipv6Address::load(packet.data() + 8);
            }
            return carry_out(home_agent_->receive(packet, info, now()));
        }
        case channel::PuntReason::kHaoWithoutBinding:
            return answer_unknown_binding(event, packet);
        case channel::PuntReason::kParameterProblem:
            return answer_parameter_problem(event, packet);
        case channel::PuntReason::kDuplicateAddress:
        case channel::PuntReason::kMldQuery:
            return take_frame(event, packet);
        case channel::PuntReason::kMip4Message:
        case channel::PuntReason::kMip4Keepalive:
        case channel::PuntReason::kAgentSolicitation:
            return mip4_.receive(event, packet);
    }
}

void App::take_frame(const channel::Punt& event, ConstByteSpan frame) {
    if (frame.size() < sizeof(EthernetHeader) || load_be16(frame.data() + 12) != kEtherTypeIpv6) {
        return;
    }
    const auto view = wire::view_ipv6_packet(frame.subspan(sizeof(EthernetHeader)));
    if (!view) return;
    const std::uint16_t port = ports_.from_data_plane(event.port);
    if (event.reason == channel::PuntReason::kMldQuery) return mld_.receive(port, *view, now());
    const auto* info = ports_.info(port);
    const auto verdict = dad_.receive(*view, MacAddress::load(frame.data() + 6),
                                      info != nullptr ? info->mac : MacAddress{}, port);
    if (verdict) conclude_dad(*verdict);
}

// RFC 6275 9.3.1: status 1, to the source on the wire.
void App::answer_unknown_binding(const channel::Punt& event, ConstByteSpan packet) {
    const auto home_address = find_home_address_option(packet);
    if (!home_address) return;
    const Ipv6Address source = Ipv6Address::load(packet.data() + 8);
    const Ipv6Address destination = Ipv6Address::load(packet.data() + 24);
    if (!source.is_unicast_routable() || !destination.is_unicast_routable()) return;
    if (!binding_errors_.take(now())) return;
    const wire::BindingError error{wire::BindingErrorStatus::kUnknownBinding, *home_address, {}};
    carry_out(mip6::SendBindingError{wire::mobility_packet(error, destination, source), source,
                                     ports_.from_data_plane(event.port)});
}

void App::answer_parameter_problem(const channel::Punt& event, ConstByteSpan packet) {
    if (packet.size() < sizeof(Ipv6Header)) return;
    const Ipv6Address source = Ipv6Address::load(packet.data() + 8);
    const Ipv6Address destination = Ipv6Address::load(packet.data() + 24);
    if (!parameter_problems_.take(now())) return;
    wire::Icmpv6ErrorMessage error;
    error.type = wire::Icmpv6Type::kParameterProblem;
    error.code = event.code;
    error.parameter = event.pointer;
    error.invoking_packet.assign(packet.begin(), packet.end());
    // A multicast destination is nobody's source address.
    const auto& own = config_.controlplane.home_agent.addresses;
    if (destination.is_multicast() && own.empty()) return;
    auto answer = wire::icmpv6_error_packet(
        error, destination.is_multicast() ? own.front() : destination, source);
    if (answer.empty()) return;
    carry_out(mip6::SendIcmpv6{std::move(answer), source, ports_.from_data_plane(event.port)});
}

}  // namespace homeport::core
