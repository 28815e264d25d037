// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/mip4/registration_client.hpp"

#include <algorithm>

namespace homeport::mip4 {

namespace {

constexpr std::uint64_t kLowHalf = 0xffffffff;
constexpr std::uint8_t kFirstHomeAgentCode = 128;

RegistrationOutcome ignored(const char* why) {
    RegistrationOutcome outcome;
    outcome.why = why;
    return outcome;
}

/// RFC 5944 section 3.6.2.1: exactly one Mobile-Home authentication, and a good one.
bool is_sealed(const wire::RegistrationReply& reply, ConstByteSpan payload,
               const SecurityAssociation& association) {
    const wire::Mip4Authentication* seal = nullptr;
    for (const wire::Mip4Extension& extension : reply.extensions) {
        const auto* one = std::get_if<wire::Mip4Authentication>(&extension);
        if (one == nullptr || one->kind != wire::Mip4AuthenticationKind::kMobileHome) continue;
        if (seal != nullptr) return false;
        seal = one;
    }
    return seal != nullptr && seal->spi == association.spi &&
           is_authentic(association, payload.first(seal->covered), seal->authenticator);
}

/// The first extension of type T if it stands under the Mobile-Home authentication: what follows
/// can be anybody's.
template <class T>
const T* find_sealed(const wire::Mip4Extensions& extensions) {
    const std::size_t at = wire::position_of<T>(extensions);
    return at < wire::position_of<wire::Mip4Authentication>(extensions)
               ? &std::get<T>(extensions[at])
               : nullptr;
}

}  // namespace

RegistrationClient::RegistrationClient(RegistrationClientConfig config)
    : config_(std::move(config)),
      home_address_(config_.home_address),
      home_agent_(config_.home_agent) {}

std::uint64_t RegistrationClient::next_identification(NtpTime time, std::uint32_t random) {
    if (config_.association.replay == ReplayStyle::kNonces) {
        return std::uint64_t{nonce_} << 32 | random;
    }
    const auto shifted = static_cast<std::uint64_t>(clock_offset_) << 32;
    // The lowest bits of a fraction of a second are nobody's clock: they tell requests apart.
    NtpTime stamp = ((time + shifted) & ~std::uint64_t{0xfff}) | (random & 0xfff);
    if (last_ != 0 && static_cast<std::int64_t>(stamp - last_) <= 0) stamp = last_ + 1;
    last_ = stamp;
    return stamp;
}

std::vector<std::uint8_t> RegistrationClient::request(const CareOf& care_of, bool deregister,
                                                      NtpTime time, std::uint32_t random) {
    wire::RegistrationRequest message;
    message.broadcasts = config_.broadcasts;
    message.decapsulates = care_of.co_located;
    message.minimal = config_.minimal;
    message.gre = config_.gre;
    message.reverse_tunnel = config_.reverse_tunnel;
    message.lifetime = deregister ? std::uint16_t{0} : config_.lifetime;
    message.home_address = home_address_;
    message.home_agent = home_agent_;
    message.care_of_address = care_of.address;
    message.identification = next_identification(time, random);
    const bool asks_for_udp = config_.udp_tunnel && care_of.co_located && !deregister;
    if (!config_.nai.empty()) {
        message.extensions.emplace_back(wire::Mip4NetworkAccessIdentifier{config_.nai});
    }
    if (asks_for_udp) {
        wire::Mip4UdpTunnelRequest udp;
        udp.forced = config_.force_udp;
        message.extensions.emplace_back(udp);
    }
    outstanding_.push_back({message.identification, deregister, asks_for_udp});
    if (outstanding_.size() > kMostOutstanding) outstanding_.pop_front();
    std::vector<std::uint8_t> payload = wire::encode(message);
    const SecurityAssociation& seal = config_.association;
    wire::append_mip4_authentication(
        payload, wire::Mip4AuthenticationKind::kMobileHome, seal.spi,
        authenticator_length(seal.algorithm),
        [&](ConstByteSpan covered) { return authenticator(seal, covered); });
    return payload;
}

RegistrationOutcome RegistrationClient::receive(ConstByteSpan payload, bool from_foreign_agent,
                                                NtpTime time) {
    const auto decoded = wire::decode_mip4(payload);
    if (!decoded) return ignored(decoded.error().what);
    const auto* const reply = std::get_if<wire::RegistrationReply>(&*decoded);
    if (reply == nullptr) return ignored("no registration reply");
    // The low half is that of the request, whatever becomes of the rest.
    const auto found = std::ranges::find_if(outstanding_, [&](const Outstanding& one) {
        return ((one.identification ^ reply->identification) & kLowHalf) == 0;
    });
    if (found == outstanding_.end()) return ignored("answers no request of ours");
    const bool of_foreign_agent = reply->code >= 64 && reply->code < kFirstHomeAgentCode;
    if (of_foreign_agent ? !from_foreign_agent : !is_sealed(*reply, payload, config_.association)) {
        return ignored("not authentic");
    }
    const Outstanding request = *found;
    if (of_foreign_agent) {
        RegistrationOutcome outcome;
        outcome.kind = RegistrationOutcome::Kind::kDenied;
        outcome.code = reply->code;
        outcome.why = "refused by the foreign agent";
        return outcome;
    }
    // Earlier requests are answered with this one: replies to them would be replays.
    outstanding_.erase(outstanding_.begin(), found + 1);
    return judge(*reply, request, time);
}

RegistrationOutcome RegistrationClient::judge(const wire::RegistrationReply& reply,
                                              const Outstanding& request, NtpTime time) {
    using wire::RegistrationCode;
    if (config_.association.replay == ReplayStyle::kNonces) {
        nonce_ = static_cast<std::uint32_t>(reply.identification >> 32);
    }
    RegistrationOutcome outcome;
    outcome.code = reply.code;
    outcome.home_address = reply.home_address;
    const auto code = static_cast<RegistrationCode>(reply.code);
    if (code == RegistrationCode::kAccepted ||
        code == RegistrationCode::kAcceptedWithoutSimultaneous) {
        if (home_address_.is_unspecified()) home_address_ = reply.home_address;
        if (reply.home_address != home_address_) return ignored("another home address");
        outcome.kind = RegistrationOutcome::Kind::kAccepted;
        outcome.lifetime = request.deregister ? std::uint16_t{0} : reply.lifetime;
        outcome.trusted_networks =
            find_sealed<wire::Mip4TrustedNetworksConfigured>(reply.extensions) != nullptr;
        const auto* udp = find_sealed<wire::Mip4UdpTunnelReply>(reply.extensions);
        if (udp != nullptr && udp->code < 64 && request.asked_for_udp) outcome.udp = *udp;
        return outcome;
    }
    outcome.kind = RegistrationOutcome::Kind::kDenied;
    outcome.why = wire::to_string(code);
    if (code == RegistrationCode::kIdentificationMismatch) {
        outcome.kind = RegistrationOutcome::Kind::kRetry;
        // RFC 5944 section 5.7.1: the home agent's clock is the one that counts.
        const auto ours = static_cast<std::int64_t>(time >> 32);
        clock_offset_ = static_cast<std::int64_t>(reply.identification >> 32) - ours;
        last_ = 0;
    } else if (code == RegistrationCode::kUnknownHomeAgentAddress &&
               reply.home_agent.is_unicast() && reply.home_agent != home_agent_) {
        outcome.kind = RegistrationOutcome::Kind::kRetry;
        home_agent_ = reply.home_agent;
    }
    return outcome;
}

}  // namespace homeport::mip4
