// SPDX-License-Identifier: BSD-3-Clause
// The Mobile IPv4 home agent as a pure protocol module (RFC 5944 section 3.8; RFC 3024, 3519,
// 5265): UDP payloads and time in, a list of actions out. No I/O, no clock. One instance a role: a
// host that is internal and external home agent has two.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <span>
#include <string>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "controlplane/mip4/actions.hpp"
#include "controlplane/mip4/config.hpp"
#include "controlplane/mip4/counters.hpp"
#include "controlplane/mip4/identification.hpp"
#include "controlplane/wire/mip4_messages.hpp"
#include "dataplane/base/ipv4_pool.hpp"

namespace homeport::mip4 {

/// What is known of a registration request besides its UDP payload.
struct RequestInfo {
    Endpoint source{};
    Endpoint destination{};
    std::uint16_t port = 0;                  // that it came in on
    bool came_through_ipsec = false;         // out of an SA that ends here
    bool came_from_inside = false;           // an interface of the trusted network
    bool destination_is_broadcast = false;   // limited, or directed to a subnet
    std::optional<MacAddress> source_mac{};  // of the frame, on a home link
};

/// Not thread-safe: one owner. Time must not go backwards from call to call.
class HomeAgent {
  public:
    /// `seed` makes nonces.
    HomeAgent(HomeAgentConfig config, TimePoint now, std::uint64_t seed);

    /// A UDP payload to port 434 whose checksum is right, and that is no tunnel data (P28).
    [[nodiscard]] Actions receive(ConstByteSpan payload, const RequestInfo& info, TimePoint now,
                                  NtpTime time);

    /// A keepalive came through the UDP tunnel of `home_address` from `source` (RFC 3519 section
    /// 4.4): completes a binding that is half bound and was requested from that address.
    [[nodiscard]] Actions keepalive(const Ipv4Address& home_address, const Endpoint& source,
                                    TimePoint now);

    /// Expiry, and what is repeated: gratuitous ARPs, revocations.
    [[nodiscard]] Actions tick(TimePoint now, NtpTime time);
    /// When tick() has something to do next.
    [[nodiscard]] std::optional<TimePoint> next_deadline() const;

    /// After a restart: what the store kept. Bindings that are over, or of nodes that are no longer
    /// configured, are left out and erased.
    [[nodiscard]] Actions restore(std::span<const BoundNode> nodes, TimePoint now);
    void restore(const PersistIdentification& kept);

    /// By the operator: removes all bindings of a home address, and revokes those whose other end
    /// agreed to be told (RFC 3543 section 4.2.2).
    [[nodiscard]] Actions clear(const Ipv4Address& home_address, TimePoint now, NtpTime time);

    /// A new configuration comes in force. Bindings that it does not allow any more are cleared.
    [[nodiscard]] Actions reconfigure(HomeAgentConfig config, TimePoint now, NtpTime time);

    [[nodiscard]] const BoundNode* find(const Ipv4Address& home_address) const;
    void for_each(const std::function<void(const BoundNode&)>& visit) const {
        for (const auto& [address, node] : nodes_) visit(node);
    }
    [[nodiscard]] std::size_t binding_count() const { return binding_count_; }
    [[nodiscard]] std::size_t node_count() const { return nodes_.size(); }
    [[nodiscard]] std::size_t revocations_waiting() const { return revocations_.size(); }
    [[nodiscard]] const Counters& counters() const { return counters_; }
    [[nodiscard]] const HomeAgentConfig& config() const { return config_; }

  private:
    /// A request on its way through the steps of mipv4.md section 4.
    struct Request {
        wire::RegistrationRequest message;
        ConstByteSpan payload;
        RequestInfo info;
        const Node* node = nullptr;
        const SecurityAssociation* association = nullptr;
        /// That shares keys with us; and what the request has of its authentication.
        const ForeignAgent* foreign_agent = nullptr;
        std::size_t foreign_seals = 0;
        bool is_foreign_authentic = false;
        const SecurityAssociation* foreign_association = nullptr;  // that the reply is sealed with
        std::size_t authentication = 0;  // position of the Mobile-Home authentication
        std::uint64_t reply_identification = 0;
        Ipv4Address home_address;  // as asked for, or given
        bool is_dynamic = false;
        Ipv4Address home_agent;  // ours, in the reply
        UdpDecision udp;
        Encapsulation encapsulation = Encapsulation::kIpInIp;
        [[nodiscard]] bool is_deregistration() const { return message.lifetime == 0; }
    };
    /// Goes on, drops in silence under a counter, or refuses with a code.
    struct Result {
        enum class Kind : std::uint8_t { kContinue, kDrop, kReject };
        Kind kind = Kind::kContinue;
        Counter counter{};
        wire::RegistrationCode code{};
        const char* detail = "";
        [[nodiscard]] static Result go_on() { return {}; }
        [[nodiscard]] static Result drop(Counter counter, const char* detail) {
            return {Kind::kDrop, counter, {}, detail};
        }
        [[nodiscard]] static Result reject(wire::RegistrationCode code, const char* detail) {
            return {Kind::kReject, {}, code, detail};
        }
    };

    // request_steps.cpp: mipv4.md section 4, one function a step
    void find_foreign_agent(Request& request) const;
    Result step_0_came_the_right_way(Request& request);
    Result step_3_has_authentication(Request& request);
    Result step_4_association(Request& request);
    Result step_5_authentic(Request& request);
    Result step_6_identification(Request& request);
    Result step_7_foreign_agent(Request& request);
    Result step_8_unicast(Request& request);
    Result step_9_home_agent(Request& request);
    Result step_10_vendor_extensions(Request& request);
    Result step_11_home_address(Request& request);
    Result step_13_encapsulation(Request& request);
    Result step_14_reverse_tunnel(Request& request);
    Result step_15_limits(Request& request);
    Result step_16_udp(Request& request);

    // registration.cpp
    void process(Request& request);
    void accept(Request& request);
    void deregister(Request& request);
    void reject(const Request& request, wire::RegistrationCode code, const char* detail);
    void reply(const Request& request, wire::RegistrationCode code, std::uint16_t lifetime);
    [[nodiscard]] std::uint16_t grant(const Request& request) const;
    [[nodiscard]] Binding make_binding(const Request& request, std::uint16_t lifetime) const;
    [[nodiscard]] bool keeps_earlier(const Request& request) const;
    [[nodiscard]] bool is_at_home(const Request& request) const;
    [[nodiscard]] std::optional<wire::Mip4RevocationSupport> revocation_support(
        const Request& request) const;
    void drop_binding(BoundNode& node, std::size_t index);
    void forget_if_unbound(const Ipv4Address& home_address);
    void install(const BoundNode& node);
    void begin_defence(const BoundNode& node);
    void end_defence(const BoundNode& node, const std::optional<MacAddress>& mac);
    void repeat_arp(const BoundNode& node, const std::optional<MacAddress>& mac);
    void stop_repeating(const Ipv4Address& home_address);
    void set_deadline(const BoundNode& node, const Binding& binding);
    void count(Counter counter, const Ipv4Address& home_address, const Endpoint& source,
               const char* detail = "", const Endpoint& before = {});

    // revocation.cpp: RFC 3543
    void receive_revocation(const wire::RegistrationRevocation& message, ConstByteSpan payload,
                            const RequestInfo& info);
    void receive_acknowledgement(const wire::RevocationAcknowledgement& message,
                                 ConstByteSpan payload, const RequestInfo& info);
    void begin_revocation(const BoundNode& node, const Binding& binding);
    void end_revocation(const Ipv4Address& home_address, const Ipv4Address& care_of_address);
    void repeat_revocations();
    [[nodiscard]] const SecurityAssociation* association_of_peer(const std::string& node,
                                                                 const Binding& binding) const;
    void clear_node(BoundNode& node, const char* why);

    [[nodiscard]] const Node* node_of(const wire::RegistrationRequest& message) const;
    [[nodiscard]] const Node* node_of_home_address(const Ipv4Address& home_address) const;
    [[nodiscard]] const HomeNetwork* network_of(const Ipv4Address& home_address) const;
    [[nodiscard]] const Node* node_named(const std::string& name) const;
    [[nodiscard]] std::optional<Ipv4Address> allocate(const Node& node) const;
    [[nodiscard]] bool may_have(const Node& node, const Ipv4Address& address) const;
    [[nodiscard]] Ipv4Pool* pool_with(const Ipv4Address& address);
    [[nodiscard]] bool is_own(const Ipv4Address& address) const;
    /// Good until another one is asked for.
    [[nodiscard]] IdentificationState& identification_of(const std::string& node,
                                                         std::uint32_t spi);
    void build_index();
    [[nodiscard]] Actions take_actions();

    HomeAgentConfig config_;
    Counters counters_;
    std::mt19937_64 random_;
    TimePoint now_;
    NtpTime time_ = 0;
    Actions actions_;

    std::unordered_map<Ipv4Address, std::size_t> by_address_;  // -> config_.nodes
    std::unordered_map<std::string, std::size_t> by_nai_;
    std::unordered_map<std::string, std::size_t> by_name_;
    std::unordered_map<Ipv4Address, std::size_t> by_foreign_agent_;  // -> config_.foreign_agents
    std::vector<Ipv4Pool> pools_;
    std::unordered_map<Ipv4Address, BoundNode> nodes_;
    std::unordered_map<std::string, Ipv4Address> dynamic_;  // node name -> address it holds
    std::size_t binding_count_ = 0;
    struct Identification {
        std::uint32_t spi = 0;
        IdentificationState state;
    };
    std::unordered_map<std::string, std::vector<Identification>> identifications_;  // by node name
    std::set<std::tuple<TimePoint, Ipv4Address, Ipv4Address>> deadlines_;           // home, care-of

    /// Gratuitous ARPs that are still to be sent.
    struct Repeat {
        TimePoint due;
        std::optional<MacAddress> hardware_address;
        std::uint16_t port = 0;
        unsigned left = 0;
    };
    std::unordered_map<Ipv4Address, Repeat> repeats_;
    std::set<std::pair<TimePoint, Ipv4Address>> repeats_due_;

    /// A revocation that was not acknowledged yet, by home and care-of address.
    struct Revocation {
        std::string node;
        Binding binding;  // as it was
        std::uint32_t identifier = 0;
        TimePoint due;  // of the next repetition
        Duration interval{};
    };
    using RevocationKey = std::pair<Ipv4Address, Ipv4Address>;
    std::map<RevocationKey, Revocation> revocations_;
    std::set<std::pair<TimePoint, RevocationKey>> revocations_due_;
    void send_revocation(const RevocationKey& key, Revocation& revocation);

    /// Tokens of a RateLimit.
    struct Bucket {
        double tokens = 0;
        TimePoint filled;
        [[nodiscard]] bool take(const RateLimit& limit, TimePoint now);
    };
    Bucket failures_;
    /// By index in config_.nodes.
    struct NodeBuckets {
        Bucket fresh, replayed;
    };
    std::vector<NodeBuckets> node_buckets_;
    [[nodiscard]] NodeBuckets& buckets_of(const Node& node) {
        return node_buckets_[static_cast<std::size_t>(&node - config_.nodes.data())];
    }
};

}  // namespace homeport::mip4
