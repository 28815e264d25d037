// SPDX-License-Identifier: BSD-3-Clause
// Revocation of bindings (RFC 3543): of ours, told to foreign agents and mobile nodes until they
// acknowledge it; and by foreign agents.
#include <algorithm>

#include "controlplane/mip4/home_agent.hpp"

namespace homeport::mip4 {

namespace {

constexpr std::uint16_t kPort = 434;
// Section 4.2.2.1: not more than one a second, each wait twice as long as the one before.
constexpr std::chrono::seconds kFirstInterval{1};
constexpr std::chrono::seconds kLongestInterval{64};

/// What there is of the clock in 32 bits: section 3.5 asks for one that grows.
std::uint32_t timestamp_of(NtpTime time) {
    return static_cast<std::uint32_t>(time >> 32);
}

bool is_newer(std::uint32_t timestamp, std::uint32_t than) {
    return static_cast<std::int32_t>(timestamp - than) > 0;
}

/// Of the extensions of a message the one that must protect it, if it is the last one.
const wire::Mip4Authentication* seal_of(const wire::Mip4Extensions& extensions,
                                        wire::Mip4AuthenticationKind kind) {
    if (extensions.empty()) return nullptr;
    const auto* last = std::get_if<wire::Mip4Authentication>(&extensions.back());
    return last != nullptr && last->kind == kind ? last : nullptr;
}

const SecurityAssociation* pick(const std::vector<SecurityAssociation>& all, std::uint32_t spi) {
    const auto found = std::ranges::find(all, spi, &SecurityAssociation::spi);
    return found == all.end() ? nullptr : &*found;
}

wire::Mip4AuthenticationKind kind_of(const Binding& binding) {
    return binding.by_foreign_agent ? wire::Mip4AuthenticationKind::kForeignHome
                                    : wire::Mip4AuthenticationKind::kMobileHome;
}

}  // namespace

/// What a reply says of it, if both ends want it and what the request says of it is protected: by
/// the mobile node's authentication if it is its own care-of address, else by the foreign agent's.
std::optional<wire::Mip4RevocationSupport> HomeAgent::revocation_support(
    const Request& request) const {
    if (!config_.revocation || request.is_deregistration()) return std::nullopt;
    const wire::Mip4Extensions& extensions = request.message.extensions;
    const std::size_t at = wire::position_of<wire::Mip4RevocationSupport>(extensions);
    if (at == extensions.size()) return std::nullopt;
    const bool is_protected =
        request.message.decapsulates ? at < request.authentication : request.is_foreign_authentic;
    if (!is_protected) return std::nullopt;
    const auto& asked = std::get<wire::Mip4RevocationSupport>(extensions[at]);
    return wire::Mip4RevocationSupport{asked.informs_mobile_node && config_.inform_on_revocation,
                                       timestamp_of(time_)};
}

const SecurityAssociation* HomeAgent::association_of_peer(const std::string& node,
                                                          const Binding& binding) const {
    if (!binding.by_foreign_agent) {
        const Node* const known = node_named(node);
        return known == nullptr ? nullptr : pick(known->associations, binding.spi);
    }
    for (const Ipv4Address& address : {binding.requested_from.address, binding.care_of_address}) {
        const auto agent = by_foreign_agent_.find(address);
        if (agent == by_foreign_agent_.end()) continue;
        return pick(config_.foreign_agents[agent->second].associations,
                    binding.foreign_association);
    }
    return nullptr;
}

// --------------------------------------------------------------------------------- ours, to them

void HomeAgent::begin_revocation(const BoundNode& node, const Binding& binding) {
    if (!binding.revocable || binding.deadline <= now_) return;
    const RevocationKey key{node.home_address, binding.care_of_address};
    end_revocation(key.first, key.second);
    Revocation& made = revocations_[key];
    made.node = node.node;
    made.binding = binding;
    made.interval = kFirstInterval;
    send_revocation(key, made);
}

void HomeAgent::send_revocation(const RevocationKey& key, Revocation& revocation) {
    const Binding& binding = revocation.binding;
    const SecurityAssociation* const with = association_of_peer(revocation.node, binding);
    if (with == nullptr) {  // the key is gone: nobody would believe us
        count(Counter::kRevocationUnanswered, key.first, binding.requested_from, "no key");
        revocations_.erase(key);
        return;
    }
    revocation.identifier = timestamp_of(time_);
    wire::RegistrationRevocation message;
    message.by_home_agent = true;
    message.informs_mobile_node = binding.by_foreign_agent ? binding.informs_mobile_node : true;
    message.home_address = key.first;
    message.home_domain = binding.local_end.address;
    message.foreign_domain = key.second;
    message.identifier = revocation.identifier;
    SendReply action;
    action.payload = wire::encode(message);
    wire::append_mip4_authentication(
        action.payload, kind_of(binding), with->spi, authenticator_length(with->algorithm),
        [&](ConstByteSpan covered) { return authenticator(*with, covered); });
    action.from = {binding.local_end.address, kPort};
    // Section 3.3 names port 434. Behind a NAT only the port of the request leads there.
    action.to = {binding.requested_from.address, binding.udp ? binding.requested_from.port : kPort};
    actions_.push_back(std::move(action));
    count(Counter::kRevocationSent, key.first, binding.requested_from);
    revocation.due = now_ + revocation.interval;
    revocation.interval = std::min<Duration>(2 * revocation.interval, kLongestInterval);
    revocations_due_.emplace(revocation.due, key);
}

void HomeAgent::end_revocation(const Ipv4Address& home_address,
                               const Ipv4Address& care_of_address) {
    const RevocationKey key{home_address, care_of_address};
    const auto found = revocations_.find(key);
    if (found == revocations_.end()) return;
    revocations_due_.erase({found->second.due, key});
    revocations_.erase(found);
}

// Section 4.2.2.1: not beyond the normal life of the binding; of an endless one, not for ever.
void HomeAgent::repeat_revocations() {
    while (!revocations_due_.empty() && revocations_due_.begin()->first <= now_) {
        const RevocationKey key = revocations_due_.begin()->second;
        revocations_due_.erase(revocations_due_.begin());
        Revocation& one = revocations_.at(key);
        const bool is_endless = one.binding.deadline == TimePoint::max();
        if (one.binding.deadline <= now_ || (is_endless && one.interval >= kLongestInterval)) {
            count(Counter::kRevocationUnanswered, key.first, one.binding.requested_from,
                  "never acknowledged");
            revocations_.erase(key);
            continue;
        }
        send_revocation(key, one);
    }
}

// Section 3.5: of the home address and with the identifier of the last one that was sent. An
// earlier one is no proof, but it would be acknowledged again.
void HomeAgent::receive_acknowledgement(const wire::RevocationAcknowledgement& message,
                                        ConstByteSpan payload, const RequestInfo& info) {
    const auto refuse = [&](const char* why) {
        count(Counter::kRevocationRefused, message.home_address, info.source, why);
    };
    auto at = revocations_.lower_bound({message.home_address, Ipv4Address{}});
    for (; at != revocations_.end() && at->first.first == message.home_address; ++at) {
        const Revocation& one = at->second;
        if (one.identifier != message.identifier ||
            one.binding.requested_from.address != info.source.address) {
            continue;
        }
        const auto* seal = seal_of(message.extensions, kind_of(one.binding));
        const SecurityAssociation* const with = association_of_peer(one.node, one.binding);
        if (seal == nullptr || with == nullptr || seal->spi != with->spi ||
            !is_authentic(*with, payload.first(seal->covered), seal->authenticator)) {
            return refuse("acknowledgement is not authentic");
        }
        count(Counter::kRevocationAcknowledged, message.home_address, info.source);
        return end_revocation(at->first.first, Ipv4Address(at->first.second));
    }
    refuse("acknowledges nothing");
}

// --------------------------------------------------------------------------------- theirs, to us

// Section 4.2.3.2. A mobile node has no revocations: it deregisters.
void HomeAgent::receive_revocation(const wire::RegistrationRevocation& message,
                                   ConstByteSpan payload, const RequestInfo& info) {
    const auto refuse = [&](const char* why) {
        count(Counter::kRevocationRefused, message.home_address, info.source, why);
    };
    if (!config_.revocation) return refuse("revocation is off");
    if (message.by_home_agent) return refuse("revocation of a home agent: reflected");
    const auto* seal = seal_of(message.extensions, wire::Mip4AuthenticationKind::kForeignHome);
    const SecurityAssociation* with = nullptr;
    for (const Ipv4Address& address : {info.source.address, message.foreign_domain}) {
        const auto agent = by_foreign_agent_.find(address);
        if (seal == nullptr || agent == by_foreign_agent_.end()) continue;
        with = pick(config_.foreign_agents[agent->second].associations, seal->spi);
        break;
    }
    if (with == nullptr ||
        !is_authentic(*with, payload.first(seal->covered), seal->authenticator)) {
        return refuse("revocation is not authentic");
    }
    bool informs = false;
    const auto found = nodes_.find(message.home_address);
    const auto is_it = [&](const Binding& one) {
        return one.care_of_address == message.foreign_domain &&
               one.local_end.address == message.home_domain;
    };
    if (found != nodes_.end() && std::ranges::any_of(found->second.bindings, is_it)) {
        BoundNode& node = found->second;
        const auto at = std::ranges::find_if(node.bindings, is_it);
        if (!at->revocable || !at->by_foreign_agent) return refuse("revocation was not agreed on");
        if (!is_newer(message.identifier, at->revocation_timestamp)) {
            return refuse("revocation is older than the registration");
        }
        informs = at->informs_mobile_node;
        count(Counter::kRevoked, message.home_address, info.source);
        count(Counter::kBindingDeleted, message.home_address, info.source,
              "revoked by the foreign agent");
        drop_binding(node, static_cast<std::size_t>(at - node.bindings.begin()));
        install(node);
        if (node.bindings.empty()) end_defence(node, std::nullopt);
        forget_if_unbound(message.home_address);
    }
    // One that is gone already: the earlier acknowledgement was lost.

    wire::RevocationAcknowledgement answer;
    answer.informs_mobile_node = message.informs_mobile_node && informs;
    answer.home_address = message.home_address;
    answer.identifier = message.identifier;
    SendReply action;
    action.payload = wire::encode(answer);
    wire::append_mip4_authentication(
        action.payload, wire::Mip4AuthenticationKind::kForeignHome, with->spi,
        authenticator_length(with->algorithm),
        [&](ConstByteSpan covered) { return authenticator(*with, covered); });
    action.from = info.destination;
    action.to = info.source;
    actions_.push_back(std::move(action));
}

}  // namespace homeport::mip4
