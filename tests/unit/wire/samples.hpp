// SPDX-License-Identifier: BSD-3-Clause
// One message of each kind with each option that may be in it: for round trips and for the referee.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "controlplane/wire/icmpv6.hpp"
#include "controlplane/wire/mobility_header.hpp"
#include "tests/unit/wire/hex.hpp"

namespace homeport::test {

inline const Ipv6Address kHoa = v6("2001:db8:1::100");
inline const Ipv6Address kHa = v6("2001:db8:1::1");
inline const Ipv6Address kCoa = v6("2001:db8:2::200");

struct MobilitySample {
    std::string name;
    wire::MobilityMessage message;
};

inline wire::MobilityOptions every_option() {
    return {wire::BindingRefreshAdvice{{30}},
            wire::AlternateCareOfAddress{kCoa},
            wire::NonceIndices{7, 8},
            wire::MobileNetworkPrefix{48, v6("2001:db8:99::")},
            wire::MobileNodeIdentifier{1, {'u', '@', 'x'}},
            wire::Ipv4HomeAddress{32, false, v4("192.0.2.100")},
            wire::Ipv4HomeAddress{24, true, v4("0.0.0.0")},
            wire::Ipv4AddressAcknowledgement{0, 32, v4("192.0.2.100")},
            wire::NatDetection{true, 110},
            wire::Ipv4CareOfAddress{v4("10.0.0.5")},
            wire::BindingIdentifier{5, 0, true, {}},
            wire::BindingIdentifier{6, 0, false, v4("10.0.0.6")},
            wire::BindingIdentifier{7, 0, false, kCoa},
            wire::UnknownOption{200, {1, 2, 3}},
            wire::ReplayProtection{0x0102030405060708},
            wire::MessageAuthentication{1, 256, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}}};
}

inline wire::BindingUpdate c1_binding_update() {
    return {.acknowledge = true,
            .home_registration = true,
            .link_local = true,
            .key_management_mobility = true,
            .sequence = 0x1234,
            .lifetime = {150},
            .options = {wire::AlternateCareOfAddress{kCoa}}};
}

inline wire::BindingAcknowledgement c3_binding_acknowledgement() {
    return {.status = wire::BindingStatus::kAccepted,
            .key_management_mobility = true,
            .sequence = 0x1234,
            .lifetime = {150},
            .options = {}};
}

inline wire::BindingUpdate c7_binding_update() {
    return {.acknowledge = true,
            .home_registration = true,
            .sequence = 0x1235,
            .lifetime = {150},
            .options = {wire::Ipv4HomeAddress{32, false, v4("192.0.2.100")},
                        wire::Ipv4CareOfAddress{v4("10.0.0.5")}}};
}

inline wire::BindingAcknowledgement c9_binding_acknowledgement() {
    return {.status = wire::BindingStatus::kAccepted,
            .sequence = 0x1235,
            .lifetime = {150},
            .options = {wire::Ipv4AddressAcknowledgement{0, 32, v4("192.0.2.100")},
                        wire::NatDetection{false, 110}}};
}

inline std::vector<MobilitySample> mobility_samples() {
    using namespace wire;
    BindingUpdate all_flags{true, true, true, true,   true,     true,          true,
                            true, true, true, 0xfffe, {0xffff}, every_option()};
    BindingAcknowledgement all_ack_flags{
        BindingStatus::kInvalidCareOfAddress, true, true, true, true, 0x8001, {1}, every_option()};
    return {
        {"brr", BindingRefreshRequest{}},
        {"brr_options", BindingRefreshRequest{{MobileNodeIdentifier{1, {'a'}}}}},
        {"hoti", HomeTestInit{0x1122334455667788, {}}},
        {"coti", CareOfTestInit{0x8877665544332211, {}}},
        {"hot", HomeTest{0x0102, 0x1122334455667788, 0xa1a2a3a4a5a6a7a8, {}}},
        {"cot", CareOfTest{0x0304, 0x1122334455667788, 0xb1b2b3b4b5b6b7b8, {}}},
        {"bu", BindingUpdate{.sequence = 1, .lifetime = {2}, .options = {}}},
        {"bu_c1", c1_binding_update()},
        {"bu_c7", c7_binding_update()},
        {"bu_all", std::move(all_flags)},
        {"bu_cn", BindingUpdate{.acknowledge = true,
                                .sequence = 9,
                                .lifetime = {105},
                                .options = {NonceIndices{1, 2},
                                            BindingAuthorizationData{
                                                {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}}}}},
        {"ba_c3", c3_binding_acknowledgement()},
        {"ba_c9", c9_binding_acknowledgement()},
        {"ba_all", std::move(all_ack_flags)},
        {"ba_refresh",
         BindingAcknowledgement{
             .sequence = 4, .lifetime = {105}, .options = {BindingRefreshAdvice{{50}}}}},
        {"be", BindingError{BindingErrorStatus::kUnrecognizedType, kHoa, {}}},
        {"ha_switch_none", HomeAgentSwitch{}},
        {"ha_switch", HomeAgentSwitch{{kHa, kCoa}, {BindingRefreshAdvice{{3}}}}},
        {"bri", BindingRevocation{RevocationType::kIndication,
                                  1,
                                  77,
                                  false,
                                  true,
                                  false,
                                  {Ipv4HomeAddress{32, false, v4("192.0.2.100")}}}},
        {"bra",
         BindingRevocation{RevocationType::kAcknowledgement, 128, 77, true, false, true, {}}},
    };
}

struct Icmpv6Sample {
    std::string name;
    wire::Icmpv6Message message;
    Ipv6Address source;
    Ipv6Address destination;
};

inline std::vector<Icmpv6Sample> icmpv6_samples() {
    using namespace wire;
    const Ipv6Address link = v6("fe80::1");
    const Ipv6Address all_nodes = v6("ff02::1");
    const MacAddress ours = mac("02:00:00:00:00:01");
    const std::vector<std::uint8_t> quoted = mobility_packet(c1_binding_update(), kHoa, kHa);
    const PrefixInformation prefix{64, true, true, true, 86400, 14400, kHa};
    return {
        {"unreachable", Icmpv6ErrorMessage{Icmpv6Type::kDestinationUnreachable, 3, 0, quoted}, kHa,
         kCoa},
        {"too_big", Icmpv6ErrorMessage{Icmpv6Type::kPacketTooBig, 0, 1400, quoted}, kHa, kCoa},
        {"time_exceeded", Icmpv6ErrorMessage{Icmpv6Type::kTimeExceeded, 0, 0, quoted}, kHa, kCoa},
        {"parameter_problem", Icmpv6ErrorMessage{Icmpv6Type::kParameterProblem, 0, 41, quoted}, kHa,
         kCoa},
        {"echo_request", EchoMessage{false, 1, 2, {1, 2, 3}}, kHoa, kHa},
        {"echo_reply", EchoMessage{true, 1, 2, {1, 2, 3}}, kHa, kHoa},
        {"mld_report",
         MulticastListener{Icmpv6Type::kMulticastListenerReport, 0, kHoa.solicited_node()}, link,
         kHoa.solicited_node()},
        {"mld_done",
         MulticastListener{Icmpv6Type::kMulticastListenerDone, 0, kHoa.solicited_node()}, link,
         v6("ff02::2")},
        {"mldv2_report",
         MulticastListenerReportV2{
             {{MulticastRecord::Type::kChangeToExclude, kHoa.solicited_node(), {}},
              {MulticastRecord::Type::kAllowNewSources, v6("ff0e::5"), {kHa, kCoa}}}},
         link, v6("ff02::16")},
        {"router_solicitation", RouterSolicitation{{SourceLinkLayerAddress{ours}}}, link,
         v6("ff02::2")},
        {"router_advertisement",
         RouterAdvertisement{
             64,
             true,
             true,
             true,
             1800,
             30000,
             1000,
             {SourceLinkLayerAddress{ours}, prefix, MtuOption{1500}, AdvertisementInterval{3000},
              HomeAgentInformation{true, 9, 1800}, UnknownNdOption{99, {1, 2, 3, 4, 5, 6}}}},
         link, all_nodes},
        {"neighbor_solicitation", NeighborSolicitation{kHoa, {SourceLinkLayerAddress{ours}}}, link,
         kHoa.solicited_node()},
        {"dad_probe", NeighborSolicitation{kHoa, {}}, Ipv6Address{}, kHoa.solicited_node()},
        {"neighbor_advertisement",
         NeighborAdvertisement{true, true, true, kHoa, {TargetLinkLayerAddress{ours}}}, link, kCoa},
        {"dhaad_request", HomeAgentDiscoveryRequest{0x1234, true}, kCoa,
         v6("2001:db8:1:0:fdff:ffff:ffff:fffe")},
        {"dhaad_reply", HomeAgentDiscoveryReply{0x1234, true, {kHa, kCoa}}, kHa, kCoa},
        {"mps", MobilePrefixSolicitation{0x4321}, kHoa, kHa},
        {"mpa", MobilePrefixAdvertisement{0x4321, true, true, {prefix}}, kHa, kHoa},
        {"unknown", UnknownIcmpv6{200, 7, {1, 2, 3, 4, 5}}, kHa, kHoa},
    };
}

}  // namespace homeport::test
