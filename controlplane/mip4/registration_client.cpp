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

/// RFC 5944 section 3.6.2.2: the lifetime counts from when the request was sent.
std::uint16_t left(const wire::RegistrationReply& reply, NtpTime sent, NtpTime now) {
    if (reply.lifetime == wire::kInfiniteMip4Lifetime) return reply.lifetime;
    const std::uint64_t passed = now > sent ? (now - sent) >> 32 : 0;
    return passed < reply.lifetime ? static_cast<std::uint16_t>(reply.lifetime - passed)
                                   : std::uint16_t{1};
}

}  // namespace

RegistrationClient::RegistrationClient(RegistrationClientConfig config,
                                       std::shared_ptr<HomeAgentKnowledge> shared)
    : config_(std::move(config)), known_(std::move(shared)) {
    if (known_) return;
    known_ = std::make_shared<HomeAgentKnowledge>();
    known_->home_address = config_.home_address;
    known_->home_agent = config_.home_agent;
}

std::uint64_t RegistrationClient::next_identification(NtpTime time, std::uint32_t random) {
    if (config_.association.replay == ReplayStyle::kNonces) {
        return std::uint64_t{known_->nonce} << 32 | random;
    }
    const auto shifted = static_cast<std::uint64_t>(known_->clock_offset) << 32;
    // The lowest bits of a fraction of a second are nobody's clock: they tell requests apart.
    NtpTime stamp = ((time + shifted) & ~std::uint64_t{0xfff}) | (random & 0xfff);
    if (known_->last != 0 && static_cast<std::int64_t>(stamp - known_->last) <= 0)
        stamp = known_->last + 1;
    known_->last = stamp;
    return stamp;
}

std::vector<std::uint8_t> RegistrationClient::request(const CareOf& care_of, bool deregister,
                                                      NtpTime time, std::uint32_t random,
                                                      std::uint16_t most) {
    wire::RegistrationRequest message;
    message.simultaneous = simultaneous_ && !deregister;
    message.broadcasts = config_.broadcasts;
    message.decapsulates = care_of.co_located;
    message.minimal = config_.minimal;
    message.gre = config_.gre;
    message.reverse_tunnel = config_.reverse_tunnel;
    if (deregister && care_of.address == known_->home_address) {  // at home there is no tunnel
        message.broadcasts = message.minimal = message.gre = message.reverse_tunnel = false;
    }
    message.lifetime = deregister ? std::uint16_t{0} : std::min(config_.lifetime, most);
    message.home_address = known_->home_address;
    message.home_agent = known_->home_agent;
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
    outstanding_.push_back({message.identification, time, deregister, asks_for_udp});
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
    // Earlier requests are answered with this one: replies to them would be replays.
    if (!of_foreign_agent) outstanding_.erase(outstanding_.begin(), found + 1);
    auto outcome = of_foreign_agent ? by_foreign_agent(*reply) : judge(*reply, request, time);
    outcome.deregister = request.deregister;
    return outcome;
}

RegistrationOutcome RegistrationClient::judge(const wire::RegistrationReply& reply,
                                              const Outstanding& request, NtpTime time) {
    using wire::RegistrationCode;
    if (config_.association.replay == ReplayStyle::kNonces) {
        known_->nonce = static_cast<std::uint32_t>(reply.identification >> 32);
    }
    const auto code = static_cast<RegistrationCode>(reply.code);
    if (code != RegistrationCode::kAccepted &&
        code != RegistrationCode::kAcceptedWithoutSimultaneous) {
        return deny(reply, request, time);
    }
    if (known_->home_address.is_unspecified()) known_->home_address = reply.home_address;
    if (reply.home_address != known_->home_address) return ignored("another home address");
    RegistrationOutcome outcome;
    outcome.code = reply.code;
    if (reply.lifetime == 0 && !request.deregister) {
        outcome.kind = RegistrationOutcome::Kind::kDenied;
        outcome.why = "accepted for no time at all";
        return outcome;
    }
    outcome.kind = RegistrationOutcome::Kind::kAccepted;
    outcome.home_address = reply.home_address;
    outcome.lifetime = request.deregister ? std::uint16_t{0} : left(reply, request.sent, time);
    outcome.trusted_networks =
        find_sealed<wire::Mip4TrustedNetworksConfigured>(reply.extensions) != nullptr;
    const auto* udp = find_sealed<wire::Mip4UdpTunnelReply>(reply.extensions);
    if (udp != nullptr && udp->code < 64 && request.asked_for_udp) outcome.udp = *udp;
    return outcome;
}

RegistrationOutcome RegistrationClient::deny(const wire::RegistrationReply& reply,
                                             const Outstanding& request, NtpTime time) {
    using wire::RegistrationCode;
    const auto code = static_cast<RegistrationCode>(reply.code);
    RegistrationOutcome outcome;
    outcome.kind = RegistrationOutcome::Kind::kDenied;
    outcome.code = reply.code;
    outcome.home_address = reply.home_address;
    outcome.why = wire::to_string(code);
    if (code == RegistrationCode::kIdentificationMismatch) {
        outcome.kind = RegistrationOutcome::Kind::kRetry;
        // RFC 5944 section 5.7.1: the home agent's clock is the one that counts.
        const auto ours = static_cast<std::int64_t>(time >> 32);
        known_->clock_offset = static_cast<std::int64_t>(reply.identification >> 32) - ours;
        known_->last = 0;
    } else if (code == RegistrationCode::kUnknownHomeAgentAddress &&
               reply.home_agent.is_unicast() && reply.home_agent != known_->home_agent) {
        outcome.kind = RegistrationOutcome::Kind::kRetry;
        known_->home_agent = reply.home_agent;
    } else if (give_way(reply.code, request.asked_for_udp)) {
        outcome.kind = RegistrationOutcome::Kind::kRetry;
    }
    return outcome;
}

/// Their codes are not authentic: they may cost us an option, and nothing else.
RegistrationOutcome RegistrationClient::by_foreign_agent(const wire::RegistrationReply& reply) {
    RegistrationOutcome outcome;
    outcome.kind = give_way(reply.code) ? RegistrationOutcome::Kind::kRetry
                                        : RegistrationOutcome::Kind::kDenied;
    outcome.code = reply.code;
    outcome.why = "refused by the foreign agent";
    return outcome;
}

/// Asks for less, or for what is mandatory. False: that would change nothing.
bool RegistrationClient::give_way(std::uint8_t code, bool asked_for_udp) {
    constexpr std::uint8_t kForeignEncapsulationUnavailable = 72;
    constexpr std::uint8_t kForeignReverseTunnelMandatory = 75;
    switch (code) {
        case static_cast<std::uint8_t>(wire::RegistrationCode::kAdministrativelyProhibited):
            // RFC 3519 section 3.1.1: so is flag F refused where nothing is forced. Without it we
            // get UDP all the same if there is a NAT.
            if (!asked_for_udp || !config_.force_udp) return false;
            config_.force_udp = false;
            return true;
        case kForeignEncapsulationUnavailable:
        case static_cast<std::uint8_t>(wire::RegistrationCode::kEncapsulationUnavailable):
        case static_cast<std::uint8_t>(wire::RegistrationCode::kUdpTunnelUnavailable):
            if (!config_.gre && !config_.minimal) return false;
            config_.gre = config_.minimal = false;
            return true;
        case kForeignReverseTunnelMandatory:
        case static_cast<std::uint8_t>(wire::RegistrationCode::kReverseTunnelMandatory):
            if (config_.reverse_tunnel) return false;
            config_.reverse_tunnel = true;
            return true;
        default:
            return false;
    }
}

}  // namespace homeport::mip4
