// SPDX-License-Identifier: BSD-3-Clause
// A home agent, and requests to it that are right but for what a test changes.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/mip4/home_agent.hpp"
#include "tests/unit/wire/hex.hpp"

namespace homeport::mip4::test_support {

using homeport::test::from_hex;
using homeport::test::v4;
using wire::RegistrationCode;

inline const Ipv4Address kHome = v4("192.0.2.100");
inline const Ipv4Address kHomeAgent = v4("192.0.2.1");
inline const Ipv4Address kCareOf = v4("10.0.0.5");
inline const Endpoint kNat{v4("203.0.113.7"), 40001};

inline SecurityAssociation association(std::uint32_t spi, std::string_view key) {
    SecurityAssociation one;
    one.spi = spi;
    one.key = from_hex(key);
    return one;
}
inline const SecurityAssociation kAlice = association(256, "00112233445566778899aabbccddeeff");
inline const SecurityAssociation kForeign = association(300, "ffeeddccbbaa99887766554433221100");

inline HomeAgentConfig simple_config() {
    HomeAgentConfig config;
    config.addresses = {kHomeAgent};
    config.home_networks = {{.prefix = Ipv4Prefix::parse("192.0.2.0/24").value()}};
    config.nodes = {{.name = "alice", .home_address = kHome, .associations = {kAlice}}};
    return config;
}

class Conversation {
  public:
    explicit Conversation(HomeAgentConfig config = simple_config())
        : now(TimePoint{} + std::chrono::hours(1)), agent(std::move(config), now, 1) {}

    /// A registration of 600 s from its care-of address. Each has a later time stamp.
    wire::RegistrationRequest request() {
        wire::RegistrationRequest made;
        made.decapsulates = true;
        made.reverse_tunnel = true;
        made.lifetime = 600;
        made.home_address = kHome;
        made.home_agent = kHomeAgent;
        made.care_of_address = kCareOf;
        time += 1 << 20;
        made.identification = time;
        return made;
    }
    RequestInfo from(const Endpoint& source) const {
        RequestInfo info;
        info.source = source;
        info.destination = {kHomeAgent, 434};
        info.port = 3;
        return info;
    }
    RequestInfo from_care_of() const { return from({kCareOf, 434}); }

    /// Sealed with `seal`, then what `behind` appends.
    std::vector<std::uint8_t> sealed(
        const wire::RegistrationRequest& request, const SecurityAssociation& seal = kAlice,
        const std::function<void(std::vector<std::uint8_t>&)>& behind = {}) const {
        auto payload = wire::encode(request);
        append_seal(payload, wire::Mip4AuthenticationKind::kMobileHome, seal);
        if (behind) behind(payload);
        return payload;
    }
    static void append_seal(std::vector<std::uint8_t>& payload, wire::Mip4AuthenticationKind kind,
                            const SecurityAssociation& seal) {
        wire::append_mip4_authentication(
            payload, kind, seal.spi, authenticator_length(seal.algorithm),
            [&](ConstByteSpan covered) { return authenticator(seal, covered); });
    }

    /// The reply, or nothing. `actions` has all of it.
    std::optional<wire::RegistrationReply> send(const std::vector<std::uint8_t>& payload,
                                                const RequestInfo& info) {
        actions = agent.receive(payload, info, now, time);
        for (const Action& action : actions) {
            if (const auto* reply = std::get_if<SendReply>(&action)) {
                sent = *reply;
                return std::get<wire::RegistrationReply>(wire::decode_mip4(reply->payload).value());
            }
        }
        return std::nullopt;
    }
    std::optional<wire::RegistrationReply> send(const wire::RegistrationRequest& request,
                                                const RequestInfo& info) {
        return send(sealed(request), info);
    }
    std::optional<wire::RegistrationReply> send(const wire::RegistrationRequest& request) {
        return send(request, from_care_of());
    }
    /// Code of the reply; -1: there is none.
    int code(const wire::RegistrationRequest& request) {
        const auto reply = send(request);
        return reply ? reply->code : -1;
    }

    template <class T>
    std::vector<T> all() const {
        std::vector<T> found;
        for (const Action& action : actions) {
            if (const T* one = std::get_if<T>(&action)) found.push_back(*one);
        }
        return found;
    }
    const std::vector<Binding>& bindings() const {
        static const std::vector<Binding> kNone;
        const BoundNode* const node = agent.find(kHome);
        return node == nullptr ? kNone : node->bindings;
    }
    std::uint64_t count(Counter counter) const { return agent.counters()[counter]; }

    TimePoint now;
    NtpTime time = NtpTime{3'900'000'000} << 32;
    HomeAgent agent;
    Actions actions;
    SendReply sent;
};

inline bool is_sealed_by(const std::vector<std::uint8_t>& payload, const SecurityAssociation& seal,
                         wire::Mip4AuthenticationKind kind) {
    const auto decoded = wire::decode_mip4(payload);
    for (const auto& one : std::get<wire::RegistrationReply>(*decoded).extensions) {
        const auto* found = std::get_if<wire::Mip4Authentication>(&one);
        if (found == nullptr || found->kind != kind) continue;
        return found->spi == seal.spi &&
               is_authentic(seal, ConstByteSpan(payload).first(found->covered),
                            found->authenticator);
    }
    return false;
}

}  // namespace homeport::mip4::test_support
