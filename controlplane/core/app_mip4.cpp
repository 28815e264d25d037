// SPDX-License-Identifier: BSD-3-Clause
// The home agents of Mobile IPv4 and the rest of the control plane.
#include <algorithm>

#include "controlplane/core/app.hpp"
#include "controlplane/core/log.hpp"
#include "controlplane/core/mip4_config.hpp"

namespace homeport::core {

namespace {

/// Rows of the binding statistics are kept by IPv6 addresses; this one is nobody's home address.
Ipv6Address row_key(const Ipv4Address& address) {
    Ipv6Address key;
    key.bytes[10] = key.bytes[11] = 0xff;
    address.store(key.bytes.data() + 12);
    return key;
}

}  // namespace

void App::send_command(channel::BindingSet& record) {
    send(record);
}

void App::send_command(channel::BindingRemove& record) {
    send(record);
}

void App::send_ipv4_packet(ConstByteSpan packet) {
    send_packet(packet, channel::kNoPort);
}

void App::send_frame(std::uint16_t port, ConstByteSpan frame) {
    if (frame.size() > channel::kMaxPacket) return;
    channel::TransmitFrame record;
    record.port = port;
    record.length = static_cast<std::uint16_t>(frame.size());
    send(record, frame);
}

std::uint32_t App::take_counter_row(const Ipv4Address& home_address) {
    return counter_rows_.take(row_key(home_address));
}

void App::give_back_counter_row(const Ipv4Address& home_address) {
    counter_rows_.give_back(row_key(home_address));
}

std::optional<std::uint32_t> App::counter_index(const Ipv4Address& home_address) const {
    return counter_rows_.find(row_key(home_address));
}

void App::forget_neighbour(std::uint16_t port, const Ipv4Address& address) {
    if (mirror_) (void)mirror_->forget_neighbour(port, address);
}

void App::send_mip4_networks() {
    for (const config::Mip4HomeAgentConfig& agent : config_.controlplane.mobile_ipv4) {
        for (const config::Mip4HomeNetworkConfig& network : agent.networks) {
            channel::HomePrefixSet record;
            record.prefix = channel::WireAddress(network.prefix.address);
            record.prefix_length = network.prefix.length;
            record.drop_unbound = network.no_binding == config::NoBinding::kDrop ? 1 : 0;
            if (!network.is_virtual()) {
                record.port = ports_.to_data_plane(ports_.number_of(network.port));
                if (record.port == channel::kNoPort) {
                    log_.limited(Message::kPortUnknown,
                                 "the data plane has no port " + network.port +
                                     ", which is the home link of " + network.prefix.to_string());
                }
            }
            send(record);
        }
    }
}

void App::log_doubts() {
    for (const std::string& doubt : doubts_about(config_.controlplane)) {
        log_.limited(Message::kConfigDoubt, doubt);
    }
}

std::vector<management::Mip4Agent> App::mip4_agents() const {
    std::vector<management::Mip4Agent> agents;
    for (const Mip4Service::Agent& agent : mip4_.agents()) {
        management::Mip4Agent& shown =
            agents.emplace_back(management::Mip4Agent{agent.config, *agent.module, {}});
        for (const Mip4Service::Agent::Link& link : agent.links) {
            shown.links.push_back({ports_.names()[link.port], &link.advertiser});
        }
    }
    return agents;
}

std::size_t App::clear_mip4_bindings(const std::optional<Ipv4Address>& home_address) {
    const std::size_t cleared = mip4_.clear(home_address);
    finish_round();
    data_plane_->flush();
    arm_timer();
    return cleared;
}

}  // namespace homeport::core
