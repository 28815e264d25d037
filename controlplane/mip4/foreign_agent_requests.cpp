// SPDX-License-Identifier: BSD-3-Clause
// Registration requests: checks in the order of RFC 5944 section 3.7.2, then relayed or denied.
#include <algorithm>

#include "controlplane/mip4/foreign_agent.hpp"

namespace homeport::mip4 {

namespace {

using namespace std::chrono_literals;
using wire::Mip4AuthenticationKind;

constexpr std::size_t kRequestLength = 24;
constexpr std::uint8_t kRequestType = 1;
constexpr Duration kBetweenDenials = 1s;  // RFC 5944 section 3.7.2

bool is(const wire::Mip4Extension& extension, Mip4AuthenticationKind kind) {
    const auto* one = std::get_if<wire::Mip4Authentication>(&extension);
    return one != nullptr && one->kind == kind;
}

}  // namespace

ForeignAgentActions ForeignAgentService::receive_request(ConstByteSpan payload,
                                                         const VisitorRequestInfo& info,
                                                         TimePoint now, std::uint32_t clock) {
    if (payload.empty() || payload[0] != kRequestType) {
        event(Count::kUnknownType, {}, {}, info.mac);
        return take_actions();
    }
    counters_.add(Count::kRequest);
    Request request;
    request.payload = payload;
    request.info = info;
    using Step = Result (ForeignAgentService::*)(Request&);
    using ConstStep = Result (ForeignAgentService::*)(const Request&);
    const auto run = [&](auto... steps) {
        Result result;
        (void)((result = (this->*steps)(request), result.kind == Result::Kind::kContinue) && ...);
        return result;
    };
    const Result result = run(static_cast<Step>(&ForeignAgentService::check_form),
                              static_cast<Step>(&ForeignAgentService::check_mobile_foreign),
                              static_cast<ConstStep>(&ForeignAgentService::check_home_agent),
                              static_cast<ConstStep>(&ForeignAgentService::check_home_address),
                              static_cast<ConstStep>(&ForeignAgentService::check_lifetime),
                              static_cast<ConstStep>(&ForeignAgentService::check_care_of_address),
                              static_cast<ConstStep>(&ForeignAgentService::check_encapsulation),
                              static_cast<Step>(&ForeignAgentService::check_reverse_tunnel),
                              static_cast<ConstStep>(&ForeignAgentService::check_resources));
    switch (result.kind) {
        case Result::Kind::kContinue:
            relay(request, now, clock);
            break;
        case Result::Kind::kDrop:
            event(result.counter, request.message.home_address, request.message.home_agent,
                  info.mac, result.detail);
            break;
        case Result::Kind::kDeny:
            deny(request.message, info, request.mobile_key, result.code, result.detail, now);
            break;
    }
    return take_actions();
}

/// RFC 5944 sections 1.10 and 3.6.1.3: what can be read, and where our own extensions begin.
ForeignAgentService::Result ForeignAgentService::check_form(Request& request) {
    if (request.payload.size() < kRequestLength) {
        return Result::drop(Count::kRequestMalformed, "shorter than a request");
    }
    auto decoded = wire::decode_mip4(request.payload);
    if (!decoded) {
        if (decoded.error().kind == wire::Mip4DecodeError::Kind::kUnknownCritical) {
            return Result::drop(Count::kRequestMalformed, decoded.error().what);
        }
        auto fixed = wire::decode_mip4(request.payload.first(kRequestLength));
        request.message = std::get<wire::RegistrationRequest>(*fixed);
        return Result::deny(Code::kPoorlyFormedRequest, decoded.error().what);
    }
    request.message = std::get<wire::RegistrationRequest>(std::move(*decoded));
    const wire::Mip4Extensions& extensions = request.message.extensions;
    for (std::size_t i = 0; i < extensions.size(); ++i) {
        if (is(extensions[i], Mip4AuthenticationKind::kMobileHome)) {
            const auto& seal = std::get<wire::Mip4Authentication>(extensions[i]);
            request.covered = seal.covered + seal.authenticator.size();
            request.first_own = i + 1;
        } else if (const auto* aaa =
                       std::get_if<wire::Mip4GeneralizedAuthentication>(&extensions[i])) {
            request.covered = aaa->covered + aaa->authenticator.size();
            request.first_own = i + 1;
        }
    }
    if (const auto* nai = wire::find_extension<wire::Mip4NetworkAccessIdentifier>(extensions)) {
        request.nai = nai->identifier;
    }
    if (request.covered == 0) {
        return Result::deny(Code::kPoorlyFormedRequest, "no authentication for the home agent");
    }
    const bool revocation =
        wire::find_extension<wire::Mip4RevocationSupport>(extensions) != nullptr;
    if (revocation && !request.message.decapsulates) {
        return Result::drop(Count::kRequestRevocation,
                            "revocation support of a node without a care-of address of its own");
    }
    for (std::size_t i = 0; i < extensions.size(); ++i) {
        if (std::holds_alternative<wire::Mip4EncapsulatingDelivery>(extensions[i])) {
            if (i < request.first_own) {
                return Result::deny(Code::kPoorlyFormedRequest,
                                    "delivery style before the mobile-home authentication");
            }
            request.encapsulating_delivery = true;
        }
        if (i >= request.first_own &&
            std::holds_alternative<wire::Mip4CriticalVendor>(extensions[i])) {
            return Result::deny(Code::kUnknownVendorFromMobileNode, "critical vendor extension");
        }
    }
    return Result::go_on();
}

/// RFC 5944 section 3.7.2.1: exactly one, and right, where keys are shared.
ForeignAgentService::Result ForeignAgentService::check_mobile_foreign(Request& request) {
    request.mobile_key = mobile_node_key(request.message.home_address, request.nai);
    if (request.mobile_key == nullptr) return Result::go_on();
    const wire::Mip4Authentication* seal = nullptr;
    std::size_t count = 0;
    for (const wire::Mip4Extension& one : request.message.extensions) {
        if (!is(one, Mip4AuthenticationKind::kMobileForeign)) continue;
        seal = std::get_if<wire::Mip4Authentication>(&one);
        ++count;
    }
    const auto failed = [&](const char* detail) {
        event(Count::kRequestAuthentication, request.message.home_address,
              request.message.home_agent, request.info.mac, detail);
        return Result::deny(Code::kMobileNodeFailedAuthentication, detail);
    };
    if (count != 1) return failed("not exactly one mobile-foreign authentication");
    if (seal->spi != request.mobile_key->spi) return failed("unknown SPI");
    if (!is_authentic(*request.mobile_key, request.payload.first(seal->covered),
                      seal->authenticator)) {
        return failed("wrong mobile-foreign authenticator");
    }
    return Result::go_on();
}

ForeignAgentService::Result ForeignAgentService::check_home_agent(const Request& request) {
    const Ipv4Address& address = request.message.home_agent;
    if (!address.is_unicast()) {
        return Result::deny(Code::kInvalidHomeAgentAddress, "no unicast home agent address");
    }
    if (std::ranges::find(config_.own_addresses, address) != config_.own_addresses.end() ||
        is_care_of_address(address) ||
        std::ranges::find(config_.link_addresses, address) != config_.link_addresses.end()) {
        return Result::deny(Code::kInvalidHomeAgentAddress, "the home agent address is ours");
    }
    const bool is_allowed = config_.home_agents.empty() ||
                            std::ranges::any_of(config_.home_agents, [&](const Ipv4Prefix& prefix) {
                                return prefix.contains(address);
                            });
    if (!is_allowed) {
        return Result::deny(Code::kAdministrativelyProhibited, "home agent not on the list");
    }
    return Result::go_on();
}

ForeignAgentService::Result ForeignAgentService::check_home_address(const Request& request) {
    const Ipv4Address& address = request.message.home_address;
    if (address.is_unspecified()) {
        if (!request.nai.empty()) return Result::go_on();
        return Result::deny(Code::kHomeAddressRequired, "neither home address nor NAI");
    }
    if (!address.is_unicast()) {
        return Result::deny(Code::kPoorlyFormedRequest, "home address is no unicast address");
    }
    const bool is_ours =
        std::ranges::find(config_.own_addresses, address) != config_.own_addresses.end() ||
        is_care_of_address(address) ||
        std::ranges::find(config_.link_addresses, address) != config_.link_addresses.end();
    if (is_ours) {
        return Result::deny(Code::kAdministrativelyProhibited, "the home address is ours");
    }
    return Result::go_on();
}

ForeignAgentService::Result ForeignAgentService::check_lifetime(const Request& request) {
    if (config_.max_lifetime != wire::kInfiniteMip4Lifetime &&
        request.message.lifetime > config_.max_lifetime) {
        return Result::deny(Code::kLifetimeTooLong, "longer than we grant");
    }
    return Result::go_on();
}

ForeignAgentService::Result ForeignAgentService::check_care_of_address(const Request& request) {
    const wire::RegistrationRequest& message = request.message;
    if (message.decapsulates) {
        if (config_.co_located) return Result::go_on();
        return Result::deny(Code::kAdministrativelyProhibited, "co-located care-of address");
    }
    if (request.is_deregistration() || is_care_of_address(message.care_of_address)) {
        return Result::go_on();
    }
    return Result::deny(Code::kInvalidCareOfAddress, "not one that we offer");
}

/// With both asked for, one of them will do (mipv4.md section 4, step 13).
ForeignAgentService::Result ForeignAgentService::check_encapsulation(const Request& request) {
    const wire::RegistrationRequest& message = request.message;
    if (message.decapsulates || request.is_deregistration()) return Result::go_on();
    if (!message.gre && !message.minimal) return Result::go_on();
    if ((message.gre && config_.gre) || (message.minimal && config_.minimal)) {
        return Result::go_on();
    }
    return Result::deny(Code::kEncapsulationUnavailable, message.gre ? "GRE" : "minimal");
}

/// RFC 3024 sections 3.3 and 4.2.1.
ForeignAgentService::Result ForeignAgentService::check_reverse_tunnel(Request& request) {
    constexpr std::uint8_t kNeverForwarded = 255;
    const wire::RegistrationRequest& message = request.message;
    if (!message.reverse_tunnel) {
        if (request.encapsulating_delivery) {
            return Result::deny(Code::kPoorlyFormedRequest, "delivery style without flag T");
        }
        if (config_.reverse_tunnel == ReverseTunnelPolicy::kMandatory && !message.decapsulates &&
            !request.is_deregistration()) {
            return Result::deny(Code::kReverseTunnelMandatory, "flag T is missing");
        }
        return Result::go_on();
    }
    // To the group of agents TTL must be 1 (RFC 5944 section 3.6.1.1): it came no further either.
    const bool is_near = request.info.ttl == kNeverForwarded ||
                         (!request.info.destination_is_ours && request.info.ttl == 1);
    if (!is_near) return Result::deny(Code::kMobileNodeTooDistant, "TTL is not 255");
    if (message.decapsulates || request.is_deregistration()) return Result::go_on();
    if (request.encapsulating_delivery && !config_.encapsulating_delivery) {
        return Result::deny(Code::kDeliveryStyleUnsupported, "encapsulating delivery");
    }
    if (config_.reverse_tunnel == ReverseTunnelPolicy::kUnavailable) {
        return Result::deny(Code::kReverseTunnelUnavailable, "no reverse tunnels here");
    }
    return Result::go_on();
}

ForeignAgentService::Result ForeignAgentService::check_resources(const Request& request) {
    const wire::RegistrationRequest& message = request.message;
    const bool is_known = find(message.home_address, message.home_agent) != nullptr;
    if (!is_known && !request.is_deregistration() && !message.decapsulates && is_busy()) {
        return Result::deny(Code::kInsufficientResources, "as many visitors as may be");
    }
    const auto of_node = static_cast<std::size_t>(std::ranges::count_if(
        pending_, [&](const Pending& one) { return one.info.mac == request.info.mac; }));
    if (pending_.size() >= config_.max_pending || of_node >= config_.max_pending_of_node) {
        return Result::deny(Code::kInsufficientResources, "too many requests are pending");
    }
    return Result::go_on();
}

void ForeignAgentService::relay(const Request& request, TimePoint now, std::uint32_t clock) {
    const wire::RegistrationRequest& message = request.message;
    const bool is_ours = !message.decapsulates && !request.is_deregistration();
    const SecurityAssociation* const key =
        request.is_deregistration() ? nullptr : home_agent_key(message.home_agent);
    Pending pending;
    pending.request = message;
    pending.request.extensions.clear();
    pending.info = request.info;
    pending.nai = request.nai;
    pending.encapsulating_delivery = request.encapsulating_delivery;
    pending.asked_for_udp = is_ours && config_.udp != ForeignUdpPolicy::kNever;
    pending.asked_for_revocation = is_ours && config_.revocation && key != nullptr;
    Duration wait = config_.registration_timeout;
    if (message.lifetime != 0)
        wait = std::min<Duration>(wait, std::chrono::seconds(message.lifetime));
    pending.deadline = now + wait;

    std::vector<std::uint8_t> out(
        request.payload.begin(),
        request.payload.begin() + static_cast<std::ptrdiff_t>(request.covered));
    if (pending.asked_for_revocation) {
        wire::append_mip4_extension(out,
                                    wire::Mip4RevocationSupport{config_.notify_visitors, clock});
    }
    if (pending.asked_for_udp) {
        wire::Mip4UdpTunnelRequest udp;
        udp.forced = config_.udp == ForeignUdpPolicy::kForced;
        wire::append_mip4_extension(out, udp);
    }
    if (key != nullptr) {
        wire::append_mip4_authentication(
            out, Mip4AuthenticationKind::kForeignHome, key->spi,
            authenticator_length(key->algorithm),
            [&](ConstByteSpan covered) { return authenticator(*key, covered); });
    }
    const Ipv4Address source = is_care_of_address(message.care_of_address)
                                   ? message.care_of_address
                                   : config_.care_of_addresses.front();
    // Of a request that was sent again the newer one is pending.
    std::erase_if(pending_, [&](const Pending& one) {
        return one.request.home_address == message.home_address &&
               one.request.home_agent == message.home_agent &&
               static_cast<std::uint32_t>(one.request.identification) ==
                   static_cast<std::uint32_t>(message.identification) &&
               one.nai == request.nai && one.info.mac == request.info.mac;
    });
    pending_.push_back(std::move(pending));
    event(Count::kRequestRelayed, message.home_address, message.home_agent, request.info.mac);
    actions_.emplace_back(SendToHomeAgent{source, message.home_agent, std::move(out)});
}

// --------------------------------------------------------------------------------------- denying

bool ForeignAgentService::may_deny(const MacAddress& mac, const Ipv4Address& home_agent,
                                   TimePoint now) {
    if (denied_.size() >= kMostDenied) {
        std::erase_if(denied_,
                      [&](const auto& one) { return one.second + kBetweenDenials <= now; });
        if (denied_.size() >= kMostDenied) return false;
    }
    const auto [at, is_new] = denied_.try_emplace({mac, home_agent}, now);
    if (is_new) return true;
    if (at->second + kBetweenDenials > now) return false;
    at->second = now;
    return true;
}

void ForeignAgentService::deny(const wire::RegistrationRequest& message,
                               const VisitorRequestInfo& info, const SecurityAssociation* key,
                               Code code, const char* detail, TimePoint now) {
    const auto number = static_cast<std::uint8_t>(code);
    counters_.add_denied(number);
    event(Count::kRequestDenied, message.home_address, message.home_agent, info.mac, detail,
          number);
    // Of "too distant" one a second is the most for all together (RFC 3024 section 4.2.1).
    const bool is_distant = code == Code::kMobileNodeTooDistant;
    if (!may_deny(is_distant ? MacAddress{} : info.mac,
                  is_distant ? Ipv4Address{} : message.home_agent, now)) {
        counters_.add(Count::kDenialPoliced);
        return;
    }
    wire::RegistrationReply reply;
    reply.code = number;
    reply.lifetime = code == Code::kLifetimeTooLong ? config_.max_lifetime : message.lifetime;
    reply.home_address = message.home_address;
    reply.home_agent = message.home_agent;
    reply.identification = message.identification;
    send_to_visitor(message, info, message.home_address, wire::encode(reply), key);
}

/// RFC 5944 section 3.7.2.3, fields of IP and UDP. A node with a care-of address of its own that
/// asked from it is answered there: its home address may not be on this link yet.
void ForeignAgentService::send_to_visitor(const wire::RegistrationRequest& request,
                                          const VisitorRequestInfo& info,
                                          const Ipv4Address& home_address,
                                          std::vector<std::uint8_t> payload,
                                          const SecurityAssociation* key) {
    if (key != nullptr) {
        wire::append_mip4_authentication(
            payload, Mip4AuthenticationKind::kMobileForeign, key->spi,
            authenticator_length(key->algorithm),
            [&](ConstByteSpan covered) { return authenticator(*key, covered); });
    }
    SendToVisitor out;
    out.link = info.link;
    out.mac = info.mac;
    out.source = info.destination_is_ours ? info.destination : config_.link_addresses[info.link];
    out.to.port = info.source.port;
    if (request.decapsulates && info.source.address == request.care_of_address) {
        out.to.address = info.source.address;
    } else if (!home_address.is_unspecified()) {
        out.to.address = home_address;
    } else {
        out.to.address = Ipv4Address{{255, 255, 255, 255}};
    }
    out.payload = std::move(payload);
    actions_.emplace_back(std::move(out));
}

}  // namespace homeport::mip4
