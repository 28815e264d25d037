// SPDX-License-Identifier: BSD-3-Clause
// Full synchronisation with the data plane, and the kernel's view on its way there.
#include <algorithm>

#include "controlplane/core/app.hpp"
#include "controlplane/core/home_agent_config.hpp"
#include "controlplane/core/log.hpp"
#include "dataplane/channel/records.hpp"

namespace homeport::core {

namespace {

using namespace std::chrono_literals;

constexpr auto kPortsPatience = 1s;    // for the data plane to tell of all ports
constexpr auto kKernelPatience = 10s;  // for the first whole picture of the kernel

std::uint64_t unix_milliseconds() {
    return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(
                                          std::chrono::system_clock::now().time_since_epoch())
                                          .count());
}

}  // namespace

void App::attached() {
    log_.write(Message::kDataPlaneAttached,
               "attached to the data plane, build " + data_plane_->build_id());
    phase_ = Phase::kWaitsForKernel;
    attached_at_ = now();
    heartbeat_seen_ = now();
    ports_.forget();
    adjacency_packets_.clear();
    early_punts_.clear();
}

void App::detached() {
    phase_ = Phase::kDetached;
    synchronized_epoch_ = 0;
    early_punts_.clear();
}

// State that is not named in a synchronisation is swept: it begins when all of it is known.
void App::synchronize_if_ready() {
    if (phase_ != Phase::kWaitsForKernel || !data_plane_->is_attached()) return;
    const auto waited = now() - attached_at_;
    if (!ports_.is_complete() && waited < kPortsPatience) return;
    const bool knows_kernel = !options_.mirror_kernel || (mirror_ && mirror_->in_sync());
    if (!knows_kernel && waited < kKernelPatience) return;
    synchronize();
    while (!early_punts_.empty()) {
        const EarlyPunt punt = std::move(early_punts_.front());
        early_punts_.pop_front();
        take_punt(punt.event, punt.packet);
    }
    finish_round();
    data_plane_->flush();
    arm_timer();
}

void App::synchronize() {
    phase_ = Phase::kRunning;
    epoch_ = std::max(epoch_ + 1, unix_milliseconds());
    channel::BeginSync begin;
    begin.epoch = epoch_;
    send(begin);
    channel::ParametersSet parameters = parameters_of(config_.controlplane);
    send(parameters);
    send_addresses();
    send_home_prefixes();
    send_mip4_networks();
    send_security();
    send_vpn_clients();
    send_bindings();
    mip4_.send_bindings();
    channel::EndSync end;
    end.epoch = epoch_;
    send(end);
    data_plane_->flush();
    check_home_agent_addresses();
}

void App::send_addresses() {
    kernel_addresses_.clear();
    if (mirror_) mirror_->replay_all(*this);
    // Tunnels end at these whether the kernel has them or not: a virtual prefix needs no link.
    for (const Ipv6Address& address : config_.controlplane.home_agent.addresses) {
        channel::AddressSet record;
        record.address = channel::WireAddress(address);
        record.prefix_length = 128;
        record.is_home_agent_address = 1;
        send(record);
    }
    const auto send_ipv4 = [this](const std::vector<Ipv4Address>& addresses) {
        for (const Ipv4Address& address : addresses) {
            channel::AddressSet record;
            record.address = channel::WireAddress(address);
            record.prefix_length = Ipv4Prefix::kMaxLength;
            note_roles(address, record);
            send(record);
        }
    };
    send_ipv4(config_.controlplane.home_agent.ipv4_addresses);
    for (const config::Mip4HomeAgentConfig& agent : config_.controlplane.mobile_ipv4) {
        send_ipv4(agent.addresses);
    }
    send_ipv4(config_.controlplane.vpn_gateway.addresses);
}

void App::send_bindings() {
    ipv4_bindings_.clear();  // what is not named again is swept
    mobile_prefixes_.clear();
    home_agent_->bindings().for_each([this](const binding::Entry& entry) {
        if (entry.state != binding::State::kDeleteWait) send_binding(entry);
    });
}

void App::send_security() {
    std::vector<channel::PolicyRecord> policies;
    for (const ipsec::PolicyEntry& entry : sa_source_->policies()) {
        policies.push_back(sa::to_record(entry));
    }
    channel::SpdReplace replace;
    replace.count = static_cast<std::uint32_t>(policies.size());
    send(replace, ConstByteSpan(reinterpret_cast<const std::uint8_t*>(policies.data()),
                                policies.size() * sizeof(channel::PolicyRecord)));
    note_issued(sa_source_->for_each_sa(
        *ledger_, worker_count(),
        [this](channel::SaSet& record, ConstByteSpan networks) { send(record, networks); }));
}

// On a real home link the kernel must have the home agent's address: it answers for it.
void App::check_home_agent_addresses() {
    if (!mirror_) return;
    const auto check = [this](const IpAddress& address, const std::string& where) {
        if (kernel_addresses_.contains(address)) {
            missing_addresses_.erase(address);
        } else if (missing_addresses_.insert(address).second) {
            log_.write(Message::kAddressMissing,
                       "the kernel does not have the home agent's address " + to_string(address) +
                           "; expected it on " + where);
        }
    };
    for (const config::HomeLinkConfig& link : config_.controlplane.home_links) {
        const auto address = config_.controlplane.home_agent_address(link.prefix);
        if (link.is_virtual() || !address) continue;
        const auto* info = ports_.info(ports_.number_of(link.port));
        check(*address,
              info != nullptr ? std::string(channel::text_of(info->kernel_interface)) : link.port);
    }
    // ARP for them is the kernel's.
    const auto check_all = [&check](const std::vector<Ipv4Address>& addresses) {
        for (const Ipv4Address& address : addresses) check(address, "any port");
    };
    check_all(config_.controlplane.home_agent.ipv4_addresses);
    for (const config::Mip4HomeAgentConfig& agent : config_.controlplane.mobile_ipv4) {
        check_all(agent.addresses);
    }
    check_all(config_.controlplane.vpn_gateway.addresses);
}

// What ends at an address of ours.
void App::note_roles(const IpAddress& address, channel::AddressSet& record) const {
    record.is_home_agent_address = is_home_agent_address(address) ? 1 : 0;
    const auto* v4 = std::get_if<Ipv4Address>(&address);
    if (v4 == nullptr) return;
    for (const config::Mip4HomeAgentConfig& agent : config_.controlplane.mobile_ipv4) {
        if (std::ranges::find(agent.addresses, *v4) == agent.addresses.end()) continue;
        switch (agent.role) {
            case config::Mip4Role::kPlain:
                record.mip4_role = channel::Mip4Role::kPlain;
                break;
            case config::Mip4Role::kInternal:
                record.mip4_role = channel::Mip4Role::kInternal;
                break;
            case config::Mip4Role::kExternal:
                record.mip4_role = channel::Mip4Role::kExternal;
                break;
        }
    }
    const auto& gateways = config_.controlplane.vpn_gateway.addresses;
    record.is_vpn_gateway = std::ranges::find(gateways, *v4) != gateways.end() ? 1 : 0;
}

bool App::has_role(const IpAddress& address) const {
    channel::AddressSet record;
    note_roles(address, record);
    return record.is_home_agent_address != 0 || record.is_vpn_gateway != 0 ||
           record.mip4_role != channel::Mip4Role::kNone;
}

bool App::is_home_agent_address(const IpAddress& address) const {
    const auto is_in = [](const auto& one, const auto& all) {
        return std::ranges::find(all, one) != all.end();
    };
    const config::HomeAgentConfig& agent = config_.controlplane.home_agent;
    if (const auto* v4 = std::get_if<Ipv4Address>(&address)) {
        return is_in(*v4, agent.ipv4_addresses);
    }
    return is_in(std::get<Ipv6Address>(address), agent.addresses);
}

// ------------------------------------------------------------------------- what the kernel tells

void App::link_changed(std::uint16_t port, const netlink::Link& link) {
    if (!log_.is_debug()) return;
    log_.debug("interface " + link.name + " of port " + std::to_string(port) +
               (link.present ? (link.up ? " is up" : " is down") : " is gone"));
}

void App::address_set(std::uint16_t port, const IpAddress& address, std::uint8_t prefix_length) {
    channel::AddressSet record;
    record.address = channel::WireAddress(address);
    record.port = port;
    record.prefix_length = prefix_length;
    note_roles(address, record);
    if (has_role(address)) kernel_addresses_[address] = port;
    const auto* v6 = std::get_if<Ipv6Address>(&address);
    if (v6 != nullptr && v6->is_link_local() && port != channel::kNoPort) {
        mld_.set_source(ports_.from_data_plane(port), *v6);
    }
    send(record);
}

void App::address_removed(std::uint16_t port, const IpAddress& address) {
    const auto it = kernel_addresses_.find(address);
    if (it != kernel_addresses_.end() && it->second == port) kernel_addresses_.erase(it);
    channel::AddressRemove record;
    record.address = channel::WireAddress(address);
    record.port = port;
    // The one without a port stays for a home agent address: tunnels end there all the same.
    if (port != channel::kNoPort || !has_role(address)) send(record);
    if (phase_ == Phase::kRunning) check_home_agent_addresses();
}

void App::route_set(const netlink::Route& route) {
    channel::RouteSet record;
    record.prefix = channel::WireAddress(route.prefix);
    record.prefix_length = route.prefix_length;
    record.route_type = route.type;
    record.port = route.port;
    if (route.next_hop) record.next_hop = channel::WireAddress(*route.next_hop);
    record.mtu = route.mtu;
    send(record);
}

void App::route_removed(const IpAddress& prefix, std::uint8_t prefix_length) {
    channel::RouteRemove record;
    record.prefix = channel::WireAddress(prefix);
    record.prefix_length = prefix_length;
    send(record);
}

void App::neighbour_set(std::uint16_t port, const IpAddress& address, const MacAddress& mac) {
    // What the data plane told the kernel about a bound address is nothing to send to.
    const auto* info = ports_.info(ports_.from_data_plane(port));
    if (info != nullptr && info->mac == mac) return;
    channel::NeighbourSet record;
    record.address = channel::WireAddress(address);
    record.mac = mac;
    record.port = port;
    send(record);
}

void App::neighbour_removed(std::uint16_t port, const IpAddress& address) {
    channel::NeighbourRemove record;
    record.address = channel::WireAddress(address);
    record.port = port;
    send(record);
}

void App::in_sync() {
    if (phase_ == Phase::kRunning) check_home_agent_addresses();
}

}  // namespace homeport::core
