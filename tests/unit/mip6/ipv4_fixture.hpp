// SPDX-License-Identifier: BSD-3-Clause
// A home agent with IPv4 addresses and pools, and binding updates over UDP/IPv4.
#pragma once

#include "tests/unit/mip6/home_agent_fixture.hpp"

namespace homeport::mip6 {

class DualStackTest : public HomeAgentTest {
  protected:
    static inline const Ipv4Address kHa4 = test::v4("192.0.2.1");
    static inline const Ipv4Address kOtherHa4 = test::v4("198.51.100.1");
    static inline const Ipv4Address kNat = test::v4("203.0.113.7");
    static inline const Ipv4Address kPrivate = test::v4("10.0.0.5");
    static inline const Ipv4Address kAny = test::v4("0.0.0.0");
    static inline const Ipv4Address kStatic = test::v4("192.0.2.100");
    static constexpr std::uint16_t kPort = 40000;

    static inline const Ipv6Address kHoa2 = test::v6("2001:db8:1::102");

    static HomeAgentConfig dual_stack_config() {
        HomeAgentConfig made = default_config();
        made.home_agent_ipv4_addresses = {kHa4, kOtherHa4};
        made.home_prefixes[0].ipv4_prefix = *Ipv4Prefix::parse("192.0.2.0/24");
        made.home_prefixes[0].ipv4_pool = {{test::v4("192.0.2.200"), test::v4("192.0.2.202")}};
        made.home_prefixes[1].ipv4_prefix = *Ipv4Prefix::parse("198.51.100.0/24");
        made.home_prefixes[1].ipv4_pool = {{test::v4("198.51.100.8"), test::v4("198.51.100.15")}};
        made.nodes = {{.identity = "router",
                       .home_addresses = {kHoa},
                       .ipv4_home_address = kStatic,
                       .ipv4_mobile_prefixes = {*Ipv4Prefix::parse("10.7.0.0/16"),
                                                *Ipv4Prefix::parse("10.8.0.0/24")}}};
        return made;
    }
    void SetUp() override {
        config = dual_stack_config();
        restart(config);
    }

    /// As a mobile node in an IPv4 network sends it: in UDP, without Home Address option.
    struct Update4 {
        std::uint16_t sequence = 1;
        std::uint16_t lifetime = 100;
        Ipv6Address home_address = kHoa;
        Ipv6Address home_agent = kHa;
        Ipv4Address source = kNat;
        std::uint16_t port = kPort;
        std::optional<Ipv4Address> claimed = kPrivate;  // option 32
        Ipv4Address local = kHa4;
        bool force_udp = false;
        bool hao = false;
        bool recorded = true;
        bool home_registration = true;
        wire::MobilityOptions options{};
    };
    static Update4 not_behind_nat(std::uint16_t sequence) {
        return {.sequence = sequence, .source = kNat, .claimed = kNat};
    }
    static wire::Ipv4HomeAddress asks(std::string_view address, std::uint8_t length = 32,
                                      bool prefix = false) {
        return {length, prefix, test::v4(address)};
    }
    Actions send4(const Update4& made) {
        wire::BindingUpdate update{.acknowledge = true,
                                   .home_registration = made.home_registration,
                                   .sequence = made.sequence,
                                   .lifetime = {made.lifetime},
                                   .options = made.options};
        update.force_udp = made.force_udp;
        if (made.claimed) update.options.emplace_back(wire::Ipv4CareOfAddress{*made.claimed});
        ReceiveInfo info{.protected_by_ipsec = true,
                         .wire_source = made.source,
                         .had_hao = made.hao,
                         .port = kVisitedPort,
                         .wire_port = made.port,
                         .local_endpoint = binding::OuterSource{made.local, 4191}};
        if (!made.recorded) {
            info = {
                .protected_by_ipsec = true, .wire_source = made.home_address, .port = kVisitedPort};
        }
        return agent.receive(wire::mobility_packet(update, made.home_address, made.home_agent),
                             info, now);
    }
    static std::optional<wire::NatDetection> nat_option(const Actions& actions) {
        const auto sent = answer(actions);
        if (!sent) return std::nullopt;
        const auto* option = wire::find_option<wire::NatDetection>(sent->options);
        return option != nullptr ? std::optional(*option) : std::nullopt;
    }
    /// Options 30, in their order.
    static std::vector<wire::Ipv4AddressAcknowledgement> ipv4_answers(const Actions& actions) {
        std::vector<wire::Ipv4AddressAcknowledgement> found;
        const auto sent = answer(actions);
        if (!sent) return found;
        for (const auto& option : sent->options) {
            if (const auto* one = std::get_if<wire::Ipv4AddressAcknowledgement>(&option)) {
                found.push_back(*one);
            }
        }
        return found;
    }
    std::uint64_t counted(Counter counter) const { return agent.counters()[counter]; }
};

}  // namespace homeport::mip6
