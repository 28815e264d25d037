// SPDX-License-Identifier: BSD-3-Clause
// A foreign agent between a visitor and a home agent, both played by the test.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/mip4/foreign_agent.hpp"
#include "tests/unit/wire/hex.hpp"

namespace homeport::mip4::test_support {

using homeport::test::from_hex;
using homeport::test::mac;
using homeport::test::v4;
using wire::ForeignAgentCode;
using Count = ForeignAgentCounter;
using namespace std::chrono_literals;

inline const Ipv4Address kVisitorHome = v4("192.0.2.100");
inline const Ipv4Address kItsHomeAgent = v4("192.0.2.1");
inline const Ipv4Address kLinkAddress = v4("10.1.0.1");
inline const Ipv4Address kForeignCareOf = v4("198.51.100.9");
inline const MacAddress kVisitorMac = mac("02:00:00:00:00:77");

inline SecurityAssociation shared_key(std::uint32_t spi, std::string_view hex) {
    SecurityAssociation one;
    one.spi = spi;
    one.key = from_hex(hex);
    return one;
}
inline const SecurityAssociation kMobileHomeKey =
    shared_key(256, "00112233445566778899aabbccddeeff");
inline const SecurityAssociation kMobileForeignKey =
    shared_key(500, "0102030405060708090a0b0c0d0e0f10");
inline const SecurityAssociation kForeignHomeKey =
    shared_key(300, "ffeeddccbbaa99887766554433221100");

inline ForeignAgentConfig visited_config() {
    ForeignAgentConfig config;
    config.link_addresses = {kLinkAddress};
    config.care_of_addresses = {kForeignCareOf};
    config.own_addresses = {kLinkAddress, kForeignCareOf, v4("198.51.100.10")};
    return config;
}
inline ForeignAgentConfig with_foreign_home_key() {
    ForeignAgentConfig config = visited_config();
    config.home_agent_keys = {{kItsHomeAgent, kForeignHomeKey}};
    return config;
}

class Visit {
  public:
    explicit Visit(ForeignAgentConfig config = visited_config())
        : now(TimePoint{} + 1h), agent(std::move(config), counters) {}

    wire::RegistrationRequest request() {
        wire::RegistrationRequest made;
        made.reverse_tunnel = true;
        made.lifetime = 600;
        made.home_address = kVisitorHome;
        made.home_agent = kItsHomeAgent;
        made.care_of_address = kForeignCareOf;
        made.identification = ++identification;
        return made;
    }
    VisitorRequestInfo info() const {
        VisitorRequestInfo made;
        made.mac = kVisitorMac;
        made.source = {kVisitorHome, 40434};
        made.destination = kLinkAddress;
        return made;
    }
    static void append_seal(std::vector<std::uint8_t>& payload, wire::Mip4AuthenticationKind kind,
                            const SecurityAssociation& key) {
        wire::append_mip4_authentication(
            payload, kind, key.spi, authenticator_length(key.algorithm),
            [&](ConstByteSpan covered) { return authenticator(key, covered); });
    }
    template <class Message>
    static std::vector<std::uint8_t> sealed(const Message& message) {
        auto payload = wire::encode(message);
        append_seal(payload, wire::Mip4AuthenticationKind::kMobileHome, kMobileHomeKey);
        return payload;
    }
    static wire::RegistrationReply reply_to(const wire::RegistrationRequest& request,
                                            std::uint8_t code = 0) {
        wire::RegistrationReply made;
        made.code = code;
        made.lifetime = request.lifetime;
        made.home_address = request.home_address;
        made.home_agent = request.home_agent;
        made.identification = request.identification;
        return made;
    }

    void ask(const std::vector<std::uint8_t>& payload,
             const std::optional<VisitorRequestInfo>& from = {}) {
        actions = agent.receive_request(payload, from.value_or(info()), now, clock);
    }
    void answer(const std::vector<std::uint8_t>& payload,
                const Endpoint& from = {kItsHomeAgent, 434}) {
        actions = agent.receive_from_home(payload, from, kForeignCareOf, now, clock);
    }
    /// A whole registration; the visitor, or a failure.
    const Visitor* register_visitor(std::uint16_t lifetime = 600) {
        auto message = request();
        message.lifetime = lifetime;
        ask(sealed(message));
        auto payload = sealed(reply_to(message));
        if (!agent.config().home_agent_keys.empty()) {
            append_seal(payload, wire::Mip4AuthenticationKind::kForeignHome, kForeignHomeKey);
        }
        answer(payload);
        return agent.find(message.home_address, message.home_agent);
    }

    template <class T>
    const T* find() const {
        for (const auto& one : actions) {
            if (const T* found = std::get_if<T>(&one)) return found;
        }
        return nullptr;
    }
    /// What was relayed to the home agent.
    std::optional<wire::RegistrationRequest> relayed() const {
        const auto* out = find<SendToHomeAgent>();
        if (out == nullptr) return {};
        const auto read = wire::decode_mip4(out->payload);
        if (!read) {
            ADD_FAILURE() << read.error().what;
            return {};
        }
        return std::get<wire::RegistrationRequest>(*read);
    }
    /// What the visitor got.
    std::optional<wire::RegistrationReply> replied() const {
        const auto* out = find<SendToVisitor>();
        if (out == nullptr) return {};
        const auto read = wire::decode_mip4(out->payload);
        if (!read) {
            ADD_FAILURE() << read.error().what;
            return {};
        }
        return std::get<wire::RegistrationReply>(*read);
    }
    /// The code that the visitor was denied with, nothing being relayed; 0: it was not.
    int denied() const {
        if (find<SendToHomeAgent>() != nullptr) return -1;
        const auto reply = replied();
        return reply ? reply->code : 0;
    }

    TimePoint now;
    std::uint32_t clock = 1000;
    std::uint64_t identification = 0xe8d4a51000000000;
    ForeignAgentCounters counters;
    ForeignAgentService agent;
    ForeignAgentActions actions;
};

}  // namespace homeport::mip4::test_support
