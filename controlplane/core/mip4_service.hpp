// SPDX-License-Identifier: BSD-3-Clause
// The home agents of Mobile IPv4 as the control plane runs them: one protocol module a role, what
// they keep, their bindings on the way to the data plane, and the advertisements on home links.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "controlplane/binding/keyed_log.hpp"
#include "controlplane/core/port_map.hpp"
#include "controlplane/mip4/agent_advertiser.hpp"
#include "controlplane/mip4/home_agent.hpp"
#include "controlplane/mip4/records.hpp"
#include "dataplane/channel/messages.hpp"
#include "dataplane/config/config.hpp"

namespace homeport::core {

class Log;

/// What the service needs of its surroundings. Ports are the data plane's numbers.
class Mip4Host {
  public:
    virtual ~Mip4Host() = default;
    virtual void send_command(channel::BindingSet& record) = 0;
    virtual void send_command(channel::BindingRemove& record) = 0;
    /// An IPv4 packet in normal form, by route.
    virtual void send_ipv4_packet(ConstByteSpan packet) = 0;
    virtual void send_frame(std::uint16_t port, ConstByteSpan frame) = 0;
    /// A row of the binding statistics; kNoIndex: none is left.
    [[nodiscard]] virtual std::uint32_t take_counter_row(const Ipv4Address& home_address) = 0;
    virtual void give_back_counter_row(const Ipv4Address& home_address) = 0;
    /// The kernel is to ask again who has this address.
    virtual void forget_neighbour(std::uint16_t port, const Ipv4Address& address) = 0;
};

/// An IPv4 packet in an Ethernet frame, padded to 60 octets.
[[nodiscard]] std::vector<std::uint8_t> mip4_frame(const MacAddress& destination,
                                                   const MacAddress& source, ConstByteSpan packet);

class Mip4Service {
  public:
    Mip4Service(Mip4Host& host, const PortMap& ports, Log& log);
    ~Mip4Service();

    /// `configs` are those of `config`, in its order. To be called before anything else.
    void configure(const config::ControlplaneConfig& config,
                   std::vector<mip4::HomeAgentConfig> configs);
    /// The log of what is kept; restores from it. Each error is a sentence. Not called: nothing is
    /// kept.
    [[nodiscard]] std::vector<std::string> open_log(const std::string& path);
    /// A new configuration. Home agents are told apart by their names.
    void reconfigure(const config::ControlplaneConfig& config,
                     std::vector<mip4::HomeAgentConfig> configs);

    void receive(const channel::Punt& event, ConstByteSpan packet);
    void note_path_mtu(const Ipv4Address& home_address, std::uint32_t mtu);
    void tick();
    [[nodiscard]] std::optional<mip4::TimePoint> next_deadline() const;
    /// What was held back until the log knows it leaves now.
    void finish_round();
    /// All bindings, to a data plane that has been attached.
    void send_bindings();

    /// None given: of all. How many home addresses had bindings.
    std::size_t clear(const std::optional<Ipv4Address>& home_address);

    [[nodiscard]] std::size_t node_count() const;
    [[nodiscard]] const std::string& problem() const { return problem_; }  // empty: none

    struct Agent {
        config::Mip4HomeAgentConfig config;
        std::unique_ptr<mip4::HomeAgent> module;
        struct Link {
            std::uint16_t port = 0;  // the configuration's number
            mip4::AgentAdvertiser advertiser;
        };
        std::vector<Link> links;
    };
    [[nodiscard]] std::span<const Agent> agents() const { return agents_; }

  private:
    void make_links(Agent& agent);
    void end_links(Agent& agent);
    void receive_message(const channel::Punt& event, ConstByteSpan packet);
    void receive_keepalive(const channel::Punt& event, ConstByteSpan packet);
    void receive_solicitation(const channel::Punt& event, ConstByteSpan packet);
    [[nodiscard]] Agent* agent_of(const Ipv4Address& address);
    [[nodiscard]] Agent* agent_on_link(std::uint16_t port, const Ipv4Address& broadcast);
    [[nodiscard]] Agent* agent_named(const std::string& name);
    [[nodiscard]] bool is_inside(const Agent& agent, std::uint16_t port) const;
    void advertise(Agent::Link& link);

    // mip4_actions.cpp
    void carry_out(const Agent& agent, const mip4::Actions& actions);
    void carry_out(const Agent& agent, const mip4::SendReply& action);
    void carry_out(const Agent& agent, const mip4::InstallBindings& action);
    void carry_out(const Agent& agent, const mip4::PersistNode& action);
    void carry_out(const Agent& agent, const mip4::PersistIdentification& action);
    void carry_out(const Agent& agent, const mip4::SendGratuitousArp& action);
    void carry_out(const Agent& agent, const mip4::CountEvent& action);
    void send_reply(const mip4::SendReply& reply);
    void commit();

    Mip4Host& host_;
    const PortMap& ports_;
    Log& log_;
    std::vector<Agent> agents_;
    std::uint16_t tunnel_flags_ = 0;  // BindingFlags of every binding
    std::unique_ptr<binding::KeyedLog> store_;
    std::string problem_;
    std::deque<mip4::SendReply> held_;
    std::vector<std::vector<std::uint8_t>> held_packets_;  // that follow a new binding
    /// Care-of addresses that the data plane has of a home address.
    std::unordered_map<Ipv4Address, std::uint8_t> installed_;
    std::unordered_map<Ipv4Address, std::uint16_t> path_mtus_;
};

}  // namespace homeport::core
