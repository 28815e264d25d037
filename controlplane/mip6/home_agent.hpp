// SPDX-License-Identifier: BSD-3-Clause
// The Mobile IPv6 home agent as a pure protocol module: packets in normal form, time and verdicts
// in; a list of actions out. No I/O, no clock, no randomness of its own.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "controlplane/binding/cache.hpp"
#include "controlplane/mip6/actions.hpp"
#include "controlplane/mip6/binding_request.hpp"
#include "controlplane/mip6/config.hpp"
#include "controlplane/mip6/counters.hpp"
#include "controlplane/mip6/rate_limiter.hpp"
#include "controlplane/wire/icmpv6.hpp"
#include "controlplane/wire/ipv6_packet.hpp"
#include "controlplane/wire/mobility_header.hpp"
#include "dataplane/base/ipv4_pool.hpp"

namespace homeport::mip6 {

/// Not thread-safe: one owner. Time must not go backwards from call to call.
class HomeAgent {
  public:
    using TimePoint = binding::TimePoint;

    /// `seed` orders home agents of equal preference in discovery replies.
    HomeAgent(HomeAgentConfig config, TimePoint now, std::uint32_t seed = 1);

    /// A packet in normal form with a mobility header, or ICMPv6 of types 144 and 146 (P5, P7, P8).
    /// Anything else is counted.
    [[nodiscard]] Actions receive(ConstByteSpan packet, const ReceiveInfo& info, TimePoint now);

    /// The verdict for the last StartDad of this home address. One that nobody waits for is
    /// ignored.
    [[nodiscard]] Actions dad_result(const Ipv6Address& home_address, bool unique, TimePoint now);

    /// Expiry, end of the delete-wait, repeated neighbor advertisements.
    [[nodiscard]] Actions tick(TimePoint now);
    /// When tick() has something to do next, or may have.
    [[nodiscard]] std::optional<TimePoint> next_deadline() const;

    /// After a restart, before the first packet: takes over what the store kept and installs it
    /// anew. No duplicate address detection: the addresses were defended all the time.
    [[nodiscard]] Actions restore(std::span<const binding::Entry> entries, TimePoint now);

    /// By the operator: removes a binding in any state, without a message to the mobile node. No
    /// such binding: an empty list.
    [[nodiscard]] Actions clear(const Ipv6Address& home_address, TimePoint now);

    /// A new configuration. Bindings of prefixes that are no longer served are removed; lifetimes
    /// are cut to those of the prefixes.
    [[nodiscard]] Actions reconfigure(HomeAgentConfig config, TimePoint now);

    /// An authentic ESP packet on UDP 4500 came from here (mipv6.md 5.4): for the operator to see.
    [[nodiscard]] Actions note_esp_source(const Ipv6Address& home_address,
                                          const binding::OuterSource& source, TimePoint now);

    /// True: new registrations are met with silence, which the mobile node repeats; refreshes go
    /// on. Updates of home addresses without a binding are then hardly looked at.
    void set_overloaded(bool overloaded) { overloaded_ = overloaded; }

    [[nodiscard]] const binding::Cache& bindings() const { return cache_; }
    [[nodiscard]] const Counters& counters() const { return counters_; }
    [[nodiscard]] const HomeAgentConfig& config() const { return config_; }

  private:
    using Step = StepResult (HomeAgent::*)(BindingRequest&);

    // home_agent.cpp: packets in
    void receive_mobility(const wire::Ipv6PacketView& packet, const ReceiveInfo& info);
    void answer_decode_error(const wire::Ipv6PacketView& packet, const ReceiveInfo& info,
                             const wire::MobilityDecodeError& error);
    void send_binding_error(const wire::Ipv6PacketView& packet, const ReceiveInfo& info);
    void send_parameter_problem(const wire::Ipv6PacketView& packet, const ReceiveInfo& info,
                                std::size_t offset_in_header);
    void process_binding_update(BindingRequest& request);

    // validation_steps.cpp: mipv6.md section 3, one function a step
    [[nodiscard]] bool step_3_is_protected(const wire::Ipv6PacketView& packet,
                                           const ReceiveInfo& info) const;
    StepResult step_9_addresses(BindingRequest& request);
    StepResult step_10_no_nonce_indices(BindingRequest& request);
    StepResult step_11_home_registration(BindingRequest& request);
    StepResult step_12_no_proxy_registration(BindingRequest& request);
    StepResult step_13_sequence(BindingRequest& request);
    StepResult step_13b_rate(BindingRequest& request);
    [[nodiscard]] Ipv6Address rate_key(const BindingRequest& request) const;
    StepResult step_14_registration_type(BindingRequest& request);
    StepResult step_14_source_changes(BindingRequest& request);
    StepResult step_14b_note_sequence(BindingRequest& request);
    StepResult step_15_deregistration(BindingRequest& request);
    StepResult step_15b_home_address_option(BindingRequest& request);
    StepResult step_16_home_agent_function(BindingRequest& request);
    StepResult step_17_home_subnet(BindingRequest& request);
    StepResult step_18_node_is_authorized(BindingRequest& request);
    StepResult step_18_care_of_address_is_allowed(BindingRequest& request);
    StepResult step_18_resources(BindingRequest& request);
    StepResult step_19_mobile_router_service(BindingRequest& request);
    StepResult step_20_prefixes_usable(BindingRequest& request);
    StepResult step_21_prefixes_authorized(BindingRequest& request);
    StepResult step_22_implicit_prefixes(BindingRequest& request);
    StepResult step_23_dual_stack(BindingRequest& request);
    StepResult step_24_duplicate_address(BindingRequest& request);
    StepResult step_25_accept(BindingRequest& request);

    // registration.cpp: what changes
    void acknowledge(const BindingRequest& request, wire::BindingAcknowledgement answer);
    void reject(const BindingRequest& request, wire::BindingStatus status, const char* detail);
    [[nodiscard]] wire::FourSecondUnits grant(const BindingRequest& request) const;
    [[nodiscard]] wire::BindingStatus acceptance(const binding::Entry& entry) const;
    void fill_entry(binding::Entry& entry, const BindingRequest& request) const;
    [[nodiscard]] binding::Entry new_entry(const BindingRequest& request) const;
    [[nodiscard]] bool grants_key_management_mobility(const BindingRequest& request) const;
    void accept(BindingRequest& request);
    void acknowledge_acceptance(const BindingRequest& request, const binding::Entry& entry);
    StepResult wait_for_dad(BindingRequest& request, binding::Entry* entry,
                            const HomePrefix& prefix);
    void deregister(BindingRequest& request);
    void stop_service(const binding::Entry& entry, RemovalReason reason);
    void remove(const Ipv6Address& home_address, RemovalReason reason);
    void join(const binding::Entry& entry);
    void leave(const binding::Entry& entry);
    void advertise(const binding::Entry& entry, bool only_ipv4);
    void begin_advertising(const binding::Entry& entry, bool only_ipv4 = false);
    void repeat_advertisements();

    // restore.cpp
    [[nodiscard]] bool is_served(const binding::Entry& entry) const;
    [[nodiscard]] bool align_with_config(binding::Entry& entry) const;
    [[nodiscard]] bool align_mobile_prefixes(binding::Entry& entry) const;

    // dual_stack.cpp: RFC 5555, IPv4 care-of addresses
    void use_recorded_source(BindingRequest& request) const;
    StepResult step_9_over_ipv4(BindingRequest& request) const;
    [[nodiscard]] bool is_denied_over_ipv4(const BindingRequest& request) const;
    [[nodiscard]] static std::optional<binding::OuterSource> outer_source_of(
        const BindingRequest& request);
    [[nodiscard]] bool is_udp_forced(const BindingRequest& request) const;
    [[nodiscard]] std::optional<wire::NatDetection> nat_detection(const BindingRequest& request,
                                                                  bool accepted) const;
    void fill_tunnel(binding::Entry& entry, const BindingRequest& request) const;
    void count_tunnel(const binding::Entry& entry, const BindingRequest& request);
    void take_mapping(const binding::Entry& entry, const BindingRequest& request);

    // ipv4_homes.cpp: RFC 5555, IPv4 home addresses and prefixes
    struct Ipv4Verdict {
        wire::Ipv4AckStatus status{};
        binding::Ipv4Home granted{};  // of kSuccess
    };
    StepResult answer_ipv4_homes(BindingRequest& request) const;
    [[nodiscard]] Ipv4Verdict judge_ipv4_home(const BindingRequest& request,
                                              const wire::Ipv4HomeAddress& home) const;
    [[nodiscard]] Ipv4Verdict judge_ipv4_prefix(const BindingRequest& request,
                                                const wire::Ipv4HomeAddress& home,
                                                const MobileNodePolicy* policy) const;
    [[nodiscard]] Ipv4Verdict assign_ipv4_home(const BindingRequest& request,
                                               const MobileNodePolicy* policy) const;
    [[nodiscard]] bool is_free_for(const Ipv4Prefix& prefix, const Ipv6Address& home_address) const;
    [[nodiscard]] bool may_keep(const binding::Entry& entry, const binding::Ipv4Home& home) const;
    void build_ipv4_index();
    [[nodiscard]] const Ipv4Pool* pool_of(const Ipv6Address& home_address) const;
    [[nodiscard]] Ipv4Pool* pool_with(const Ipv4Address& address);
    void hold_ipv4(binding::Entry& entry);
    void release_ipv4(const binding::Entry& entry);
    [[nodiscard]] std::vector<Ipv4Address> defended_ipv4(const binding::Entry& entry) const;
    void announce_ipv4(const binding::Entry& entry);

    // discovery.cpp: RFC 6275 10.5
    void receive_icmpv6(const wire::Ipv6PacketView& packet, const ReceiveInfo& info);
    void answer_discovery(const wire::Ipv6PacketView& packet, const ReceiveInfo& info,
                          const wire::HomeAgentDiscoveryRequest& request);
    [[nodiscard]] bool is_anycast_address(const Ipv6Address& address) const;
    [[nodiscard]] Ipv6Address own_address_for(const HomePrefix* prefix) const;
    [[nodiscard]] std::vector<Ipv6Address> home_agents_list(const Ipv6Address& self,
                                                            bool mobile_routers,
                                                            bool& listed_serve_mobile_routers);

    // prefix_discovery.cpp: RFC 6275 10.6
    struct PrefixNews {
        TimePoint due;
        unsigned left = 0;  // transmissions
        Duration timeout{};
    };
    void answer_prefix_solicitation(const wire::Ipv6PacketView& packet, const ReceiveInfo& info,
                                    const wire::MobilePrefixSolicitation& request);
    void advertise_prefixes(const binding::Entry& entry, std::uint16_t identifier,
                            const IpAddress& reply_to, std::uint16_t port, bool protect);
    [[nodiscard]] wire::NdOptions prefix_options(const Ipv6Address& home_address) const;
    [[nodiscard]] Duration prefix_advertisement_delay(const HomePrefix& prefix);
    void schedule_prefix_advertisements(const std::vector<HomePrefix>& before);
    void set_prefix_news(const Ipv6Address& home_address, const PrefixNews& news);
    void forget_prefix_news(const Ipv6Address& home_address);
    void advertise_due_prefixes();

    void build_index();
    void make_rate_limiters();
    [[nodiscard]] const HomePrefix* home_prefix_of(const Ipv6Address& home_address) const;
    [[nodiscard]] const MobileNodePolicy* policy_of(const Ipv6Address& home_address) const;
    [[nodiscard]] bool is_own_address(const Ipv6Address& address) const;
    [[nodiscard]] bool is_own_address(const Ipv4Address& address) const;
    [[nodiscard]] bool is_denied(const Ipv6Address& care_of_address) const;
    [[nodiscard]] bool is_in_mobile_network(const Ipv6Address& address) const;
    [[nodiscard]] bool is_in_mobile_network(const Ipv4Address& address) const;
    void count(Counter counter, const Ipv6Address& home_address, const IpAddress& wire_source,
               const char* detail = "");
    [[nodiscard]] Actions take_actions();

    HomeAgentConfig config_;
    binding::Cache cache_;
    Counters counters_;
    std::mt19937 random_;
    TimePoint now_;
    bool overloaded_ = false;
    Actions actions_;

    std::unordered_map<Ipv6Address, std::size_t> policy_index_;  // home address -> config_.nodes
    std::vector<Ipv6Prefix> mobile_networks_;  // of all nodes, in order; they do not meet
    /// Registrations that wait for duplicate address detection, by home address.
    std::unordered_map<Ipv6Address, BindingRequest> pending_;

    struct Group {
        Ipv6Address address;
        std::uint16_t port = 0;
        friend bool operator==(const Group&, const Group&) = default;
    };
    struct GroupHash {
        std::size_t operator()(const Group& group) const noexcept {
            return std::hash<Ipv6Address>{}(group.address) ^ group.port;
        }
    };
    std::unordered_map<Group, std::size_t, GroupHash> groups_;

    struct Repeat {
        TimePoint due;
        Ipv6Address home_address;
        TimePoint registered;  // of the binding meant: a newer one has its own repeats
        unsigned left = 0;
        bool only_ipv4 = false;  // an IPv4 home address that came later
    };
    std::deque<Repeat> repeats_;  // all one second ahead: in order of time

    KeyedTokenBuckets<Ipv6Address> bu_rate_node_;
    KeyedTokenBuckets<Ipv6Address> replay_rate_node_;  // of answers to old sequence numbers
    TokenBucket bu_rate_all_;
    TokenBucket binding_error_rate_;
    TokenBucket icmp_rate_;
    TokenBucket dhaad_rate_;
    KeyedTokenBuckets<Ipv6Address> mpa_rate_;
    KeyedTokenBuckets<Ipv6Address> source_changes_;

    std::vector<std::optional<Ipv4Pool>> pools_;    // by index of config_.home_prefixes
    std::set<Ipv4Address> reserved_ipv4_;           // of the pools, but static or our own
    std::vector<Ipv4Prefix> ipv4_mobile_networks_;  // as mobile_networks_
    std::map<Ipv4Prefix, Ipv6Address> ipv4_owners_;
    /// Bindings by V4ADDR:Z; several only of one mobile node.
    std::unordered_multimap<std::uint64_t, Ipv6Address> mappings_;
    /// Unsolicited advertisements that are to go out, and in the order of their time.
    std::unordered_map<Ipv6Address, PrefixNews> prefix_news_;
    std::set<std::pair<TimePoint, Ipv6Address>> prefix_queue_;
    std::vector<Ipv6Address> due_;
};

/// A 16-bit serial compare (RFC 6275 9.5.1): whether `received` may follow `last`.
[[nodiscard]] constexpr bool is_newer_sequence(std::uint16_t received, std::uint16_t last) {
    return static_cast<std::uint16_t>(last - received) > 32768;
}

/// The link-local address with the interface identifier of `home_address` (flag L).
[[nodiscard]] Ipv6Address link_local_of(const Ipv6Address& home_address);

/// Home-Agents anycast address of a prefix (RFC 2526): identifier 126.
[[nodiscard]] Ipv6Address home_agents_anycast(const Ipv6Prefix& prefix);

}  // namespace homeport::mip6
