// SPDX-License-Identifier: BSD-3-Clause
// Registration replies of home agents (RFC 5944 section 3.7.3).
#include <algorithm>

#include "controlplane/mip4/foreign_agent.hpp"

namespace homeport::mip4 {

namespace {

using wire::Mip4AuthenticationKind;

constexpr std::size_t kReplyLength = 20;
constexpr std::uint8_t kReplyType = 3;
constexpr std::uint8_t kMostAssent = 63;  // of a UDP tunnel reply (RFC 3519 section 3.2.1)

std::uint32_t low_half(std::uint64_t identification) {
    return static_cast<std::uint32_t>(identification);
}
bool is_accepted(const wire::RegistrationReply& reply) {
    return reply.code <= 1;
}

/// Where the octets end that authenticate the reply to the mobile node, and the first extension
/// behind them.
std::pair<std::size_t, std::size_t> authorized_part(const wire::Mip4Extensions& extensions) {
    std::pair<std::size_t, std::size_t> part{kReplyLength, 0};
    for (std::size_t i = 0; i < extensions.size(); ++i) {
        const auto* seal = std::get_if<wire::Mip4Authentication>(&extensions[i]);
        if (seal != nullptr && seal->kind == Mip4AuthenticationKind::kMobileHome) {
            part = {seal->covered + seal->authenticator.size(), i + 1};
        }
        const auto* aaa = std::get_if<wire::Mip4GeneralizedAuthentication>(&extensions[i]);
        if (aaa != nullptr) part = {aaa->covered + aaa->authenticator.size(), i + 1};
    }
    return part;
}

/// The extension of type T among those behind `own`.
template <class T>
const T* own_extension(const wire::Mip4Extensions& extensions, std::size_t own) {
    for (std::size_t i = own; i < extensions.size(); ++i) {
        if (const T* one = std::get_if<T>(&extensions[i])) return one;
    }
    return nullptr;
}

}  // namespace

ForeignAgentActions ForeignAgentService::receive_from_home(ConstByteSpan payload,
                                                           const Endpoint& source,
                                                           const Ipv4Address& destination,
                                                           TimePoint now, std::uint32_t clock) {
    (void)clock;
    if (!payload.empty() && payload[0] == kReplyType) {
        counters_.add(Count::kReply);
        receive_reply(payload, source, now);
        return take_actions();
    }
    const auto message = wire::decode_mip4(payload);
    if (message && std::holds_alternative<wire::RegistrationRevocation>(*message)) {
        receive_revocation(std::get<wire::RegistrationRevocation>(*message), payload, source,
                           destination, now);
    } else if (message && std::holds_alternative<wire::RevocationAcknowledgement>(*message)) {
        receive_acknowledgement(std::get<wire::RevocationAcknowledgement>(*message), payload,
                                source);
    } else {
        event(Count::kUnknownType, {}, source.address, {}, "no message for a foreign agent");
    }
    return take_actions();
}

/// By home address (or none yet), low half of the identification, and home agent (S2.80); two home
/// agents that answer alike are told by name, a refusal also by the rest alone: of a request to a
/// broadcast address another home agent answers (RFC 5944 section 3.6.1.2).
std::deque<ForeignAgentService::Pending>::iterator ForeignAgentService::pending_of(
    const wire::RegistrationReply& reply, const Endpoint& source) {
    const auto* nai = wire::find_extension<wire::Mip4NetworkAccessIdentifier>(reply.extensions);
    const auto fits = [&](const Pending& one) {
        const bool same_address = one.request.home_address == reply.home_address ||
                                  one.request.home_address.is_unspecified();
        const bool same_name = nai == nullptr || one.nai.empty() || one.nai == nai->identifier;
        return same_address && same_name &&
               low_half(one.request.identification) == low_half(reply.identification);
    };
    auto found = std::ranges::find_if(pending_, [&](const Pending& one) {
        return fits(one) && one.request.home_agent == reply.home_agent;
    });
    if (found == pending_.end()) {
        found = std::ranges::find_if(pending_, [&](const Pending& one) {
            return fits(one) && one.request.home_agent == source.address;
        });
    }
    if (found == pending_.end() && !is_accepted(reply) &&
        std::ranges::count_if(pending_, fits) == 1) {
        found = std::ranges::find_if(pending_, fits);
    }
    return found;
}

/// Exactly one Foreign-Home authentication, and a right one.
bool ForeignAgentService::is_sealed_by(const Ipv4Address& home_agent, ConstByteSpan payload,
                                       const wire::Mip4Extensions& extensions) const {
    const wire::Mip4Authentication* seal = nullptr;
    for (const wire::Mip4Extension& one : extensions) {
        const auto* found = std::get_if<wire::Mip4Authentication>(&one);
        if (found == nullptr || found->kind != Mip4AuthenticationKind::kForeignHome) continue;
        if (seal != nullptr) return false;
        seal = found;
    }
    if (seal == nullptr) return false;
    const SecurityAssociation* const key = home_agent_key(home_agent, seal->spi);
    return key != nullptr && is_authentic(*key, payload.first(seal->covered), seal->authenticator);
}

void ForeignAgentService::receive_reply(ConstByteSpan payload, const Endpoint& source,
                                        TimePoint now) {
    const auto drop = [&](Count counter, const char* detail) {
        event(
            counter,
            payload.size() >= kReplyLength ? Ipv4Address::load(payload.data() + 4) : Ipv4Address{},
            source.address, {}, detail);
    };
    if (payload.size() < kReplyLength) return drop(Count::kReplyMalformed, "shorter than a reply");
    auto decoded = wire::decode_mip4(payload);
    const char* const malformed = decoded ? nullptr : decoded.error().what;
    if (!decoded) {
        if (decoded.error().kind == wire::Mip4DecodeError::Kind::kUnknownCritical) {
            return drop(Count::kReplyMalformed, malformed);
        }
        decoded = wire::decode_mip4(payload.first(kReplyLength));
    }
    const auto& reply = std::get<wire::RegistrationReply>(*decoded);
    const auto found = pending_of(reply, source);
    if (found == pending_.end()) return drop(Count::kReplyNoPending, "answers no pending request");
    const Pending pending = std::move(*found);
    pending_.erase(found);
    if (malformed != nullptr) return replace_reply(pending, Code::kPoorlyFormedReply, malformed);

    const wire::RegistrationRequest& request = pending.request;
    if (request.lifetime != 0 && home_agent_key(request.home_agent) != nullptr &&
        !is_sealed_by(request.home_agent, payload, reply.extensions)) {
        return replace_reply(pending, Code::kHomeAgentFailedAuthentication,
                             "not exactly one right foreign-home authentication");
    }
    const auto [covered, own] = authorized_part(reply.extensions);
    if (own_extension<wire::Mip4CriticalVendor>(reply.extensions, own) != nullptr) {
        return replace_reply(pending, Code::kUnknownVendorFromHomeAgent,
                             "critical vendor extension");
    }
    if (is_accepted(reply)) {  // RFC 2794 section 3
        if (!pending.nai.empty() &&
            wire::find_extension<wire::Mip4NetworkAccessIdentifier>(reply.extensions) == nullptr) {
            return replace_reply(pending, Code::kMissingNai, "the NAI is missing");
        }
        if (reply.home_agent.is_unspecified()) {
            return replace_reply(pending, Code::kMissingHomeAgent, "no home agent");
        }
        if (reply.home_address.is_unspecified()) {
            return replace_reply(pending, Code::kMissingHomeAddress, "no home address");
        }
        accept_reply(pending, reply, source, own, now);
    }
    relay_reply(pending, reply, payload, covered);
}

void ForeignAgentService::replace_reply(const Pending& pending, Code code, const char* detail) {
    const auto number = static_cast<std::uint8_t>(code);
    const wire::RegistrationRequest& request = pending.request;
    counters_.add_denied(number);
    event(Count::kReplyReplaced, request.home_address, request.home_agent, pending.info.mac, detail,
          number);
    wire::RegistrationReply reply;
    reply.code = number;
    reply.lifetime = request.lifetime;
    reply.home_address = request.home_address;
    reply.home_agent = request.home_agent;
    reply.identification = request.identification;
    send_to_visitor(request, pending.info, request.home_address, wire::encode(reply),
                    mobile_node_key(request.home_address, pending.nai));
}

void ForeignAgentService::relay_reply(const Pending& pending, const wire::RegistrationReply& reply,
                                      ConstByteSpan payload, std::size_t covered) {
    const wire::RegistrationRequest& request = pending.request;
    event(Count::kReplyRelayed, reply.home_address, request.home_agent, pending.info.mac, "",
          reply.code);
    const ConstByteSpan kept = payload.first(covered);
    send_to_visitor(request, pending.info, reply.home_address, {kept.begin(), kept.end()},
                    mobile_node_key(request.home_address, pending.nai));
}

namespace {

Visitor visitor_of(const wire::RegistrationRequest& request, const VisitorRequestInfo& info) {
    Visitor made;
    made.link = info.link;
    made.mac = info.mac;
    made.source = info.source;
    made.care_of_address = request.care_of_address;
    made.co_located = request.decapsulates;
    made.reverse_tunnel = request.reverse_tunnel;
    made.broadcasts = request.broadcasts;
    made.gre = request.gre;
    made.minimal = request.minimal;
    made.identification = request.identification;
    return made;
}

}  // namespace

void ForeignAgentService::accept_reply(const Pending& pending, const wire::RegistrationReply& reply,
                                       const Endpoint& source, std::size_t own, TimePoint now) {
    const wire::RegistrationRequest& request = pending.request;
    const VisitorKey key{reply.home_address, request.home_agent};
    const auto known = visitors_.find(key);
    const bool is_new = known == visitors_.end();
    const std::uint16_t lifetime =
        std::min({reply.lifetime, request.lifetime, config_.max_lifetime});
    if (lifetime == 0) {
        const bool is_about_us = is_care_of_address(request.care_of_address) ||
                                 request.care_of_address == request.home_address ||
                                 request.decapsulates;
        if (!is_new && is_about_us) {
            end_visitor(known, Count::kDeregistered, "deregistered");
        }
        return;
    }
    Visitor visitor = visitor_of(request, pending.info);
    visitor.home_address = reply.home_address;
    visitor.home_agent = request.home_agent;
    visitor.nai = pending.nai;
    visitor.encapsulating_delivery = pending.encapsulating_delivery;
    visitor.agent_address = pending.info.destination_is_ours
                                ? pending.info.destination
                                : config_.link_addresses[pending.info.link];
    visitor.encapsulation = request.gre && config_.gre           ? Encapsulation::kGre
                            : request.minimal && config_.minimal ? Encapsulation::kMinimal
                                                                 : Encapsulation::kIpInIp;
    const auto* udp = own_extension<wire::Mip4UdpTunnelReply>(reply.extensions, own);
    if (pending.asked_for_udp && udp != nullptr && udp->code <= kMostAssent) {
        visitor.udp = true;
        visitor.home_agent_port = source.port;
        visitor.keepalive =
            udp->keepalive != 0 ? std::chrono::seconds(udp->keepalive) : config_.keepalive;
    }
    const auto* revocation = own_extension<wire::Mip4RevocationSupport>(reply.extensions, own);
    if (pending.asked_for_revocation && revocation != nullptr) {
        visitor.revocation = true;
        visitor.revocation_informs = config_.notify_visitors && revocation->informs_mobile_node;
        visitor.revocation_stamp = revocation->timestamp;
    }
    visitor.lifetime = lifetime;
    visitor.registered = is_new ? now : known->second.visitor.registered;
    visitor.deadline = lifetime == wire::kInfiniteMip4Lifetime
                           ? TimePoint::max()
                           : now + std::chrono::seconds(lifetime);
    VisitorEntry entry;
    entry.visitor = visitor;
    entry.order = ++order_;
    entry.last_sent = now;
    if (visitor.udp) entry.next_keepalive = now + visitor.keepalive;
    if (!is_new) entry.sequence = known->second.sequence;
    std::erase_if(ended_, [&](const Ended& one) {
        return VisitorKey{one.visitor.home_address, one.visitor.home_agent} == key;
    });
    visitors_.insert_or_assign(key, entry);
    actions_.emplace_back(VisitorChanged{visitor});
    event(is_new ? Count::kRegistered : Count::kRenewed, visitor.home_address, visitor.home_agent,
          visitor.mac);
}

}  // namespace homeport::mip4
