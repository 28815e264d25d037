// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/core/mip4_service.hpp"

#include <algorithm>
#include <random>

#include "controlplane/core/log.hpp"
#include "controlplane/core/mip4_config.hpp"
#include "controlplane/wire/bytes.hpp"
#include "dataplane/base/checksum.hpp"
#include "dataplane/base/ip_header.hpp"

namespace homeport::core {

namespace {

constexpr Ipv4Address kEverybody{{255, 255, 255, 255}};
constexpr std::uint8_t kEchoRequest = 8;

mip4::TimePoint now() {
    return std::chrono::steady_clock::now();
}

mip4::NtpTime time_of_day() {
    return mip4::ntp_time(std::chrono::system_clock::now());
}

/// An IPv4 packet with a UDP datagram in it, whole and unfragmented.
struct Datagram {
    mip4::Endpoint source, destination;
    ConstByteSpan payload;
};
std::optional<Datagram> datagram_of(ConstByteSpan packet) {
    if (packet.size() < sizeof(Ipv4Header) || packet[0] >> 4 != 4) return std::nullopt;
    const std::size_t header = std::size_t{packet[0] & 15u} * 4;
    const std::size_t length = load_be16(packet.data() + 2);
    if (header < sizeof(Ipv4Header) || length < header + sizeof(UdpHeader) ||
        packet.size() < length || packet[9] != number(IpProtocol::kUdp)) {
        return std::nullopt;
    }
    const std::uint8_t* const udp = packet.data() + header;
    const std::size_t udp_length = load_be16(udp + 4);
    if (udp_length < sizeof(UdpHeader) || udp_length > length - header) return std::nullopt;
    Datagram made;
    made.source = {Ipv4Address::load(packet.data() + 12), load_be16(udp)};
    made.destination = {Ipv4Address::load(packet.data() + 16), load_be16(udp + 2)};
    made.payload = packet.subspan(header + sizeof(UdpHeader), udp_length - sizeof(UdpHeader));
    return made;
}

Ipv4Address broadcast_of(const Ipv4Prefix& prefix) {
    Ipv4Address address;
    store_be32(address.bytes.data(), prefix.address.host() | (0xffffffffu >> prefix.length));
    return address;
}

bool is_network_of_link(const mip4::HomeNetwork& network, std::uint16_t port) {
    return !network.is_virtual && network.port == port;
}

}  // namespace

Mip4Service::Mip4Service(Mip4Host& host, const PortMap& ports, Log& log)
    : host_(host), ports_(ports), log_(log) {}

Mip4Service::~Mip4Service() {
    if (store_) commit();
}

// -------------------------------------------------------------------------------- configuration

void Mip4Service::make_links(Agent& agent) {
    for (const config::Mip4HomeNetworkConfig& network : agent.config.networks) {
        if (network.advertisement_interval == 0) continue;
        mip4::AdvertiserConfig wanted = advertiser_config(agent.config, network);
        if (const char* const fault = mip4::fault_of(wanted)) {
            log_.write(Message::kConfigDoubt, "the home agent '" + agent.config.name +
                                                  "' does not advertise itself on " + network.port +
                                                  ": " + fault);
            continue;
        }
        agent.links.push_back(
            {ports_.number_of(network.port),
             mip4::AgentAdvertiser(std::move(wanted), now(), std::random_device{}())});
    }
}

void Mip4Service::end_links(Agent& agent) {
    for (Agent::Link& link : agent.links) {
        const auto* const info = ports_.info(link.port);
        if (info == nullptr) continue;
        const mip4::Advertisement last = link.advertiser.farewell();
        host_.send_frame(info->port, mip4_frame(last.destination, info->mac, last.packet));
    }
    agent.links.clear();
}

void Mip4Service::configure(const config::ControlplaneConfig& config,
                            std::vector<mip4::HomeAgentConfig> configs) {
    tunnel_flags_ = config.tunnel.dscp == config::DscpModel::kPipe ? channel::kBindingDscpPipe : 0;
    for (std::size_t i = 0; i < configs.size(); ++i) {
        Agent& agent = agents_.emplace_back();
        agent.config = config.mobile_ipv4[i];
        agent.module =
            std::make_unique<mip4::HomeAgent>(std::move(configs[i]), now(), std::random_device{}());
        make_links(agent);
    }
}

void Mip4Service::reconfigure(const config::ControlplaneConfig& config,
                              std::vector<mip4::HomeAgentConfig> configs) {
    tunnel_flags_ = config.tunnel.dscp == config::DscpModel::kPipe ? channel::kBindingDscpPipe : 0;
    std::vector<Agent> before = std::move(agents_);
    agents_.clear();
    for (std::size_t i = 0; i < configs.size(); ++i) {
        const config::Mip4HomeAgentConfig& wanted = config.mobile_ipv4[i];
        const auto known = std::ranges::find_if(before, [&](const Agent& agent) {
            return agent.module && agent.config.name == wanted.name &&
                   agent.config.role == wanted.role;
        });
        Agent& agent = agents_.emplace_back();
        if (known == before.end()) {
            agent.config = wanted;
            agent.module = std::make_unique<mip4::HomeAgent>(std::move(configs[i]), now(),
                                                             std::random_device{}());
            make_links(agent);
            continue;
        }
        agent = std::move(*known);
        const bool is_same_link =
            agent.config.networks == wanted.networks && agent.config.addresses == wanted.addresses;
        if (!is_same_link) end_links(agent);
        agent.config = wanted;
        if (!is_same_link) make_links(agent);
        carry_out(agent, agent.module->reconfigure(std::move(configs[i]), now(), time_of_day()));
    }
    for (Agent& gone : before) {
        if (!gone.module) continue;
        end_links(gone);
        std::vector<Ipv4Address> bound;
        gone.module->for_each(
            [&](const mip4::BoundNode& node) { bound.push_back(node.home_address); });
        for (const Ipv4Address& address : bound) {
            carry_out(gone, gone.module->clear(address, now(), time_of_day()));
        }
    }
}

std::vector<std::string> Mip4Service::open_log(const std::string& path) {
    auto opened = binding::KeyedLog::open({.path = path});
    if (!opened) return {opened.error().what};
    if (opened->damaged != 0) {
        log_.write(Message::kStoreRecordBad, "the last " + std::to_string(opened->damaged) +
                                                 " octets of " + path +
                                                 " were no whole record and are cut off");
    }
    store_ = std::move(opened->log);
    const mip4::Clocks clocks{now(), std::chrono::system_clock::now()};
    std::map<std::string, std::vector<mip4::BoundNode>> bindings;
    std::size_t kept = 0;
    for (const auto& [key, record] : opened->records) {
        auto read = mip4::from_record(key, record, clocks);
        Agent* const agent = read ? agent_named(read->agent) : nullptr;
        if (agent == nullptr) {
            if (!read) {
                log_.limited(Message::kStoreRecordBad,
                             "a record of " + path + " makes no sense and was left out");
            }
            store_->erase(key);
        } else if (auto* node = std::get_if<mip4::BoundNode>(&read->what)) {
            bindings[read->agent].push_back(std::move(*node));
            ++kept;
        } else {
            agent->module->restore(std::get<mip4::PersistIdentification>(read->what));
        }
    }
    for (auto& [name, nodes] : bindings) {
        Agent& agent = *agent_named(name);
        carry_out(agent, agent.module->restore(nodes, now()));
    }
    finish_round();
    if (kept != 0) {
        log_.write(Message::kBindingsRestored,
                   std::to_string(node_count()) + " of " + std::to_string(kept) +
                       " registrations of Mobile IPv4 nodes are in force again");
    }
    return {};
}

// -------------------------------------------------------------------------------------- packets

void Mip4Service::receive(const channel::Punt& event, ConstByteSpan packet) {
    switch (event.reason) {
        case channel::PuntReason::kMip4Message:
            return receive_message(event, packet);
        case channel::PuntReason::kMip4Keepalive:
            return receive_keepalive(event, packet);
        case channel::PuntReason::kAgentSolicitation:
            return receive_solicitation(event, packet);
        default:
            return;
    }
}

void Mip4Service::receive_message(const channel::Punt& event, ConstByteSpan packet) {
    const auto datagram = datagram_of(packet);
    if (!datagram) return;
    mip4::RequestInfo info;
    info.source = datagram->source;
    info.destination = datagram->destination;
    info.port = ports_.from_data_plane(event.port);
    info.came_through_ipsec = event.protected_by_ipsec != 0;
    if (event.source_mac != MacAddress{}) info.source_mac = event.source_mac;
    Agent* agent = agent_of(info.destination.address);
    if (agent == nullptr) {
        agent = agent_on_link(info.port, info.destination.address);
        info.destination_is_broadcast = true;
    }
    if (agent == nullptr) return;
    info.came_from_inside = is_inside(*agent, info.port);
    carry_out(*agent, agent->module->receive(datagram->payload, info, now(), time_of_day()));
}

// RFC 3519 section 4.4: it shows where a half-bound tunnel ends, and is answered through it.
void Mip4Service::receive_keepalive(const channel::Punt& event, ConstByteSpan packet) {
    if (packet.size() < sizeof(Ipv4Header) + sizeof(IcmpHeader) || packet[0] != 0x45 ||
        packet[9] != number(IpProtocol::kIcmp) || packet[sizeof(Ipv4Header)] != kEchoRequest ||
        event.recorded_source.family != 4) {
        return;
    }
    const Ipv4Address home_address = Ipv4Address::load(packet.data() + 12);
    Agent* const agent = agent_of(Ipv4Address::load(packet.data() + 16));
    if (agent == nullptr) return;
    const mip4::Actions actions = agent->module->keepalive(
        home_address, {event.recorded_source.v4(), event.recorded_port}, now());
    if (actions.empty()) return;
    carry_out(*agent, actions);
    const std::size_t length = load_be16(packet.data() + 2);
    if (length < sizeof(Ipv4Header) + sizeof(IcmpHeader) || length > packet.size()) return;
    std::vector<std::uint8_t> answer(packet.begin(),
                                     packet.begin() + static_cast<std::ptrdiff_t>(length));
    std::swap_ranges(answer.begin() + 12, answer.begin() + 16, answer.begin() + 16);
    answer[8] = 64;  // TTL
    store_be16(answer.data() + 10, 0);
    store_be16(answer.data() + 10,
               internet_checksum(ConstByteSpan(answer).first(sizeof(Ipv4Header))));
    std::uint8_t* const icmp = answer.data() + sizeof(Ipv4Header);
    icmp[0] = 0;  // echo reply
    store_be16(icmp + 2,
               checksum_update(load_be16(icmp + 2), kEchoRequest << 8 | icmp[1], icmp[1]));
    held_packets_.push_back(std::move(answer));
}

void Mip4Service::receive_solicitation(const channel::Punt& event, ConstByteSpan packet) {
    const std::uint16_t port = ports_.from_data_plane(event.port);
    for (Agent& agent : agents_) {
        for (Agent::Link& link : agent.links) {
            if (link.port != port) continue;
            (void)link.advertiser.receive(packet, event.source_mac, now());
            advertise(link);
        }
    }
}

void Mip4Service::advertise(Agent::Link& link) {
    for (const mip4::Advertisement& one : link.advertiser.tick(now())) {
        const auto* const info = ports_.info(link.port);
        if (info == nullptr) continue;
        host_.send_frame(info->port, mip4_frame(one.destination, info->mac, one.packet));
    }
}

Mip4Service::Agent* Mip4Service::agent_of(const Ipv4Address& address) {
    const auto found = std::ranges::find_if(agents_, [&](const Agent& agent) {
        return std::ranges::find(agent.config.addresses, address) != agent.config.addresses.end();
    });
    return found == agents_.end() ? nullptr : &*found;
}

/// Of a request that looks for its home agent (RFC 5944 section 3.6.1.2): that of the network whose
/// broadcast address it went to or, if routers made 255.255.255.255 of that, of the link.
Mip4Service::Agent* Mip4Service::agent_on_link(std::uint16_t port, const Ipv4Address& broadcast) {
    const auto found = std::ranges::find_if(agents_, [&](const Agent& agent) {
        const auto& networks = agent.module->config().home_networks;
        return std::ranges::any_of(networks, [&](const mip4::HomeNetwork& network) {
            return broadcast == broadcast_of(network.prefix) ||
                   (broadcast == kEverybody && is_network_of_link(network, port));
        });
    });
    return found == agents_.end() ? nullptr : &*found;
}

Mip4Service::Agent* Mip4Service::agent_named(const std::string& name) {
    const auto found = std::ranges::find_if(
        agents_, [&](const Agent& agent) { return agent.config.name == name; });
    return found == agents_.end() ? nullptr : &*found;
}

bool Mip4Service::is_inside(const Agent& agent, std::uint16_t port) const {
    return std::ranges::any_of(agent.config.inside_ports, [&](const std::string& name) {
        return ports_.number_of(name) == port;
    });
}

// ------------------------------------------------------------------------------------------ time

void Mip4Service::tick() {
    for (Agent& agent : agents_) {
        carry_out(agent, agent.module->tick(now(), time_of_day()));
        for (Agent::Link& link : agent.links) advertise(link);
    }
}

std::optional<mip4::TimePoint> Mip4Service::next_deadline() const {
    std::optional<mip4::TimePoint> next;
    const auto take = [&next](const std::optional<mip4::TimePoint>& at) {
        if (at && (!next || *at < *next)) next = at;
    };
    for (const Agent& agent : agents_) {
        take(agent.module->next_deadline());
        for (const Agent::Link& link : agent.links) take(link.advertiser.next_deadline());
    }
    return next;
}

void Mip4Service::note_path_mtu(const Ipv4Address& home_address, std::uint32_t mtu) {
    if (mtu <= 0xffff && installed_.contains(home_address)) {
        path_mtus_[home_address] = static_cast<std::uint16_t>(mtu);
    }
}

// ------------------------------------------------------------------------------------ management

std::size_t Mip4Service::clear(const std::optional<Ipv4Address>& home_address) {
    std::size_t cleared = 0;
    for (Agent& agent : agents_) {
        std::vector<Ipv4Address> wanted;
        if (home_address) {
            if (agent.module->find(*home_address) != nullptr) wanted.push_back(*home_address);
        } else {
            agent.module->for_each(
                [&](const mip4::BoundNode& node) { wanted.push_back(node.home_address); });
        }
        for (const Ipv4Address& address : wanted) {
            carry_out(agent, agent.module->clear(address, now(), time_of_day()));
        }
        cleared += wanted.size();
    }
    return cleared;
}

std::size_t Mip4Service::node_count() const {
    std::size_t count = 0;
    for (const Agent& agent : agents_) count += agent.module->node_count();
    return count;
}

}  // namespace homeport::core
