// SPDX-License-Identifier: BSD-3-Clause
// links: foreign_agent
// A foreign agent with one visitor: messages of either side, right authenticators if the first
// octet says so, packets out of tunnels and of the visitor.
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "controlplane/mip4/foreign_agent.hpp"
#include "tools/foreign-agent/data_path.hpp"

using namespace homeport;

namespace {

const Ipv4Address kHome{{192, 0, 2, 100}};
const Ipv4Address kHomeAgent{{192, 0, 2, 1}};
const Ipv4Address kCareOf{{198, 51, 100, 9}};
const MacAddress kMac{{2, 0, 0, 0, 0, 1}};

mip4::ForeignAgentConfig config() {
    mip4::ForeignAgentConfig made;
    made.link_addresses = {Ipv4Address{{10, 1, 0, 1}}};
    made.care_of_addresses = {kCareOf};
    made.own_addresses = {made.link_addresses[0], kCareOf};
    made.udp = mip4::ForeignUdpPolicy::kWhereNeeded;
    mip4::SecurityAssociation key;
    key.key = {1, 2, 3};
    made.home_agent_keys = {{kHomeAgent, key}};
    return made;
}

void seal(std::vector<std::uint8_t>& payload, wire::Mip4AuthenticationKind kind) {
    const auto made = config();
    const auto& key = made.home_agent_keys[0].association;
    wire::append_mip4_authentication(payload, kind, key.spi, 16, [&](ConstByteSpan covered) {
        return mip4::authenticator(key, covered);
    });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    std::vector<std::uint8_t> payload(data + 1, data + size);
    if ((data[0] & 1) != 0) seal(payload, wire::Mip4AuthenticationKind::kMobileHome);
    if ((data[0] & 2) != 0) seal(payload, wire::Mip4AuthenticationKind::kForeignHome);

    mip4::ForeignAgentCounters counters;
    mip4::ForeignAgentService service(config(), counters);
    mip4::TimePoint now = mip4::TimePoint{} + std::chrono::hours(1);
    mip4::VisitorRequestInfo info;
    info.mac = kMac;
    info.source = {kHome, 434};
    info.destination = config().link_addresses[0];

    wire::RegistrationRequest request;
    request.reverse_tunnel = true;
    request.gre = (data[0] & 4) != 0;
    request.minimal = (data[0] & 8) != 0;
    request.lifetime = 100;
    request.home_address = kHome;
    request.home_agent = kHomeAgent;
    request.care_of_address = kCareOf;
    auto asked = wire::encode(request);
    seal(asked, wire::Mip4AuthenticationKind::kMobileHome);
    (void)service.receive_request(asked, info, now, 1);
    // What is put before us may be the reply to it.
    (void)service.receive_from_home(payload, {kHomeAgent, 434}, kCareOf, now, 1);
    wire::RegistrationReply reply;
    reply.lifetime = 100;
    reply.home_address = kHome;
    reply.home_agent = kHomeAgent;
    auto answer = wire::encode(reply);
    seal(answer, wire::Mip4AuthenticationKind::kMobileHome);
    if ((data[0] & 16) != 0) {
        wire::append_mip4_extension(answer, wire::Mip4UdpTunnelReply{});
    }
    wire::append_mip4_extension(answer, wire::Mip4RevocationSupport{true, 1});
    seal(answer, wire::Mip4AuthenticationKind::kForeignHome);
    (void)service.receive_from_home(answer, {kHomeAgent, 434}, kCareOf, now, 1);

    foreign_agent::DataPath path(service, counters,
                                 {{1500}, [](const auto&, const auto&) { return 1400; }, 7});
    foreign_agent::Outbox out;
    path.from_tunnel(payload, now, out);
    (void)path.from_visitor(0, kMac, payload, false, now, out);
    (void)path.from_visitor(0, kMac, payload, true, now, out);
    path.group_from_visitor(0, kMac, payload);
    (void)service.receive_request(payload, info, now, 2);
    (void)service.receive_from_home(payload, {kHomeAgent, 434}, kCareOf, now, 2);
    (void)service.unreachable(kHomeAgent, 3, 1, payload, now);
    now += std::chrono::hours(1);
    (void)service.tick(now, 3600);
    if (service.visitor_count() != 0 || service.pending_count() != 0) std::abort();
    return 0;
}
