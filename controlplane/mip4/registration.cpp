// SPDX-License-Identifier: BSD-3-Clause
// What an accepted registration changes, and what the replies look like (RFC 5944 sections 3.8.2.2
// and 3.8.3).
#include <algorithm>

#include "controlplane/mip4/home_agent.hpp"

namespace homeport::mip4 {

namespace {

using wire::RegistrationCode;

constexpr std::chrono::seconds kArpInterval{1};

}  // namespace

void HomeAgent::process(Request& request) {
    using Step = Result (HomeAgent::*)(Request&);
    constexpr Step kFirst[] = {&HomeAgent::step_0_came_the_right_way,
                               &HomeAgent::step_3_has_authentication,
                               &HomeAgent::step_4_association,
                               &HomeAgent::step_5_authentic,
                               &HomeAgent::step_6_identification,
                               &HomeAgent::step_7_foreign_agent,
                               &HomeAgent::step_8_unicast,
                               &HomeAgent::step_9_home_agent,
                               &HomeAgent::step_10_vendor_extensions,
                               &HomeAgent::step_11_home_address};
    // A deregistration from home carries none of these flags.
    constexpr Step kOfRegistrations[] = {&HomeAgent::step_13_encapsulation,
                                         &HomeAgent::step_14_reverse_tunnel,
                                         &HomeAgent::step_15_limits, &HomeAgent::step_16_udp};
    request.home_address = request.message.home_address;
    request.home_agent = config_.addresses.empty() ? Ipv4Address{} : config_.addresses.front();
    request.reply_identification = request.message.identification;
    find_foreign_agent(request);
    // False: the request is settled.
    const auto passes = [&](Step step) {
        const Result result = (this->*step)(request);
        if (result.kind == Result::Kind::kContinue) return true;
        if (result.kind == Result::Kind::kDrop) {
            count(result.counter, request.home_address, request.info.source, result.detail);
        } else {
            reject(request, result.code, result.detail);
        }
        return false;
    };
    for (const Step step : kFirst) {
        if (!passes(step)) return;
    }
    if (request.is_deregistration()) return deregister(request);
    for (const Step step : kOfRegistrations) {
        if (!passes(step)) return;
    }
    accept(request);
}

// ------------------------------------------------------------------------------------- replies

void HomeAgent::reject(const Request& request, RegistrationCode code, const char* detail) {
    counters_.add_rejected(static_cast<std::uint8_t>(code));
    actions_.push_back(
        CountEvent{Counter::kRejected, request.home_address, request.info.source, code, detail});
    if (code == RegistrationCode::kMobileNodeFailedAuthentication &&
        !request.is_foreign_authentic) {
        // RFC 5944 3.8.2.1: behind a foreign agent that should have shown who it is, and did not,
        // there may be anybody. Forgers must not make us busy: answers to them are few.
        const bool is_suspect = request.foreign_agent != nullptr && !request.is_deregistration();
        if (is_suspect || !failures_.take(config_.failure_rate, now_)) {
            count(Counter::kFailurePoliced, request.home_address, request.info.source);
            return;
        }
    }
    reply(request, code, 0);
}

void HomeAgent::reply(const Request& request, RegistrationCode code, std::uint16_t lifetime) {
    wire::RegistrationReply message;
    message.code = static_cast<std::uint8_t>(code);
    message.lifetime = lifetime;
    message.home_address = request.home_address;
    message.home_agent = request.home_agent;
    message.identification = request.reply_identification;
    if (const auto* nai =
            wire::find_extension<wire::Mip4NetworkAccessIdentifier>(request.message.extensions)) {
        message.extensions.emplace_back(*nai);
    }
    // A foreign agent takes off what follows the Mobile-Home authentication, and a mobile node
    // that asked for nothing would discard the reply: type 44 may not be skipped.
    const bool asked_itself = wire::position_of<wire::Mip4UdpTunnelRequest>(
                                  request.message.extensions) < request.authentication;
    if (request.udp.answer && asked_itself) message.extensions.emplace_back(*request.udp.answer);
    const auto support = revocation_support(request);
    const bool is_accepted = static_cast<std::uint8_t>(code) <= 1;
    if (is_accepted && support && request.message.decapsulates) {
        message.extensions.emplace_back(*support);
    }
    if (config_.role == Role::kInternal && config_.profile == Profile::kRfc5265) {
        message.extensions.emplace_back(wire::Mip4TrustedNetworksConfigured{});  // S2.92
    }
    std::vector<std::uint8_t> payload = wire::encode(message);
    const auto seal = [&](wire::Mip4AuthenticationKind kind, const SecurityAssociation& with) {
        wire::append_mip4_authentication(
            payload, kind, with.spi, authenticator_length(with.algorithm),
            [&](ConstByteSpan covered) { return authenticator(with, covered); });
    };
    seal(wire::Mip4AuthenticationKind::kMobileHome, *request.association);
    if (request.udp.answer && !asked_itself) {
        wire::append_mip4_extension(payload, *request.udp.answer);
    }
    if (is_accepted && support && !request.message.decapsulates) {
        wire::append_mip4_extension(payload, *support);
    }
    // RFC 5944 3.5.4: none in a deregistration, but for those who do not know that.
    if (request.foreign_association != nullptr &&
        (!request.is_deregistration() || request.is_foreign_authentic)) {
        seal(wire::Mip4AuthenticationKind::kForeignHome, *request.foreign_association);
    }

    SendReply action;
    action.payload = std::move(payload);
    action.from = request.info.destination;
    if (request.info.destination_is_broadcast) action.from.address = request.home_agent;
    action.to = request.info.source;
    if (is_at_home(request)) {
        action.home_port = network_of(request.home_address)->port;
        action.home_mac = request.info.source_mac;
    }
    actions_.push_back(std::move(action));
}

/// RFC 5944 3.8.3.1: from there it asks to be let go, and there it is answered.
bool HomeAgent::is_at_home(const Request& request) const {
    const HomeNetwork* const network = network_of(request.home_address);
    return request.is_deregistration() && network != nullptr && !network->is_virtual &&
           request.message.care_of_address == request.home_address &&
           request.info.source.address == request.home_address &&
           request.info.port == network->port && !request.info.came_through_ipsec;
}

// ---------------------------------------------------------------------------------- acceptance

std::uint16_t HomeAgent::grant(const Request& request) const {
    // RFC 3519 5.2: a mapping that nothing keeps alive is soon gone.
    constexpr std::chrono::seconds kWithoutKeepalives{60};
    auto most = config_.max_lifetime;
    if (request.udp.udp) most = std::min(most, config_.max_lifetime_nat);
    if (request.udp.udp && config_.udp.keepalive == 0) most = std::min(most, kWithoutKeepalives);
    return static_cast<std::uint16_t>(
        std::min<std::int64_t>({request.message.lifetime, most.count(), 0xffff}));
}

bool HomeAgent::keeps_earlier(const Request& request) const {
    return request.message.simultaneous && config_.simultaneous_bindings > 1;
}

Binding HomeAgent::make_binding(const Request& request, std::uint16_t lifetime) const {
    const wire::RegistrationRequest& message = request.message;
    Binding binding;
    binding.care_of_address = message.care_of_address;
    binding.tunnel_end =
        request.udp.udp ? request.info.source : Endpoint{message.care_of_address, 0};
    binding.local_end = {request.home_agent,
                         request.udp.udp ? request.info.destination.port : std::uint16_t{0}};
    binding.encapsulation = request.udp.encapsulation;
    binding.udp = request.udp.udp;
    binding.half_bound = request.udp.half_bound;
    binding.reverse_tunnel = message.reverse_tunnel;
    binding.co_located = message.decapsulates;
    binding.broadcasts = message.broadcasts && config_.broadcasts;
    if (request.udp.udp && request.udp.answer) binding.keepalive = request.udp.answer->keepalive;
    binding.lifetime = lifetime;
    binding.identification = request.reply_identification;
    binding.spi = request.association->spi;
    binding.requested_from = request.info.source;
    if (const auto support = revocation_support(request)) {
        binding.revocable = true;
        binding.by_foreign_agent = !message.decapsulates;
        binding.informs_mobile_node = support->informs_mobile_node;
        binding.revocation_timestamp =
            wire::find_extension<wire::Mip4RevocationSupport>(message.extensions)->timestamp;
        if (binding.by_foreign_agent)
            binding.foreign_association = request.foreign_association->spi;
    }
    binding.registered = now_;
    binding.deadline = lifetime == wire::kInfiniteMip4Lifetime
                           ? TimePoint::max()
                           : now_ + std::chrono::seconds(lifetime);
    return binding;
}

void HomeAgent::accept(Request& request) {
    const HomeNetwork& network = *network_of(request.home_address);
    const std::uint16_t lifetime = grant(request);
    const bool was_bound = find(request.home_address) != nullptr;
    BoundNode& node = nodes_[request.home_address];
    node.home_address = request.home_address;
    node.node = request.node->name;
    node.is_dynamic = request.is_dynamic;
    node.virtual_home_link = network.is_virtual;
    node.home_port = network.port;
    if (request.is_dynamic) {
        dynamic_[node.node] = request.home_address;
        if (Ipv4Pool* const pool = pool_with(request.home_address)) {
            pool->take(request.home_address);
        }
    }

    Binding made = make_binding(request, lifetime);
    const auto known =
        std::ranges::find(node.bindings, made.care_of_address, &Binding::care_of_address);
    bool is_new = known == node.bindings.end();
    if (!is_new) {
        made.registered = known->registered;
        const bool is_completed = made.half_bound && !known->half_bound && known->udp;
        if (is_completed && known->tunnel_end.address == made.requested_from.address) {
            // By way of the same foreign agent: the end of the tunnel that a keepalive showed
            // stays.
            made.half_bound = false;
            made.tunnel_end = known->tunnel_end;
        } else if (known->tunnel_end != made.tunnel_end) {
            count(Counter::kSourceChanged, request.home_address, request.info.source,
                  "the same care-of address, another end of the tunnel", known->tunnel_end);
        }
    }
    end_revocation(request.home_address, made.care_of_address);
    if (keeps_earlier(request)) {
        if (!is_new) drop_binding(node, static_cast<std::size_t>(known - node.bindings.begin()));
    } else {
        if (is_new && was_bound) {
            count(Counter::kSourceChanged, request.home_address, request.info.source,
                  "another care-of address", node.bindings.back().tunnel_end);
            is_new = false;
        }
        while (!node.bindings.empty()) drop_binding(node, node.bindings.size() - 1);
    }
    node.bindings.push_back(made);
    ++binding_count_;
    set_deadline(node, made);

    count(Counter::kAccepted, request.home_address, request.info.source);
    count(is_new ? Counter::kBindingCreated : Counter::kBindingUpdated, request.home_address,
          request.info.source);
    if (made.udp) count(Counter::kUdpGranted, request.home_address, request.info.source);
    install(node);
    if (!was_bound) begin_defence(node);
    const bool without_simultaneous =
        request.message.simultaneous && config_.simultaneous_bindings <= 1;
    reply(request,
          without_simultaneous ? RegistrationCode::kAcceptedWithoutSimultaneous
                               : RegistrationCode::kAccepted,
          lifetime);
}

/// Care-of address equal to the home address: of all bindings (RFC 5944 section 3.8.2.2).
void HomeAgent::deregister(Request& request) {
    count(Counter::kAccepted, request.home_address, request.info.source);
    const auto found = nodes_.find(request.home_address);
    if (found != nodes_.end()) {
        BoundNode& node = found->second;
        const bool all = request.message.care_of_address == request.home_address;
        for (std::size_t i = node.bindings.size(); i-- > 0;) {
            if (!all && node.bindings[i].care_of_address != request.message.care_of_address) {
                continue;
            }
            count(Counter::kBindingDeleted, request.home_address, request.info.source);
            drop_binding(node, i);
        }
        install(node);
        if (node.bindings.empty()) {
            end_defence(node, is_at_home(request) ? request.info.source_mac : std::nullopt);
        }
        forget_if_unbound(request.home_address);
    }
    reply(request, RegistrationCode::kAccepted, 0);
}

// ------------------------------------------------------------------------------------ bindings

void HomeAgent::drop_binding(BoundNode& node, std::size_t index) {
    const Binding& binding = node.bindings[index];
    deadlines_.erase({binding.deadline, node.home_address, binding.care_of_address});
    node.bindings.erase(node.bindings.begin() + static_cast<std::ptrdiff_t>(index));
    --binding_count_;
}

void HomeAgent::set_deadline(const BoundNode& node, const Binding& binding) {
    if (binding.deadline == TimePoint::max()) return;
    deadlines_.emplace(binding.deadline, node.home_address, binding.care_of_address);
}

void HomeAgent::forget_if_unbound(const Ipv4Address& home_address) {
    const auto found = nodes_.find(home_address);
    if (found == nodes_.end() || !found->second.bindings.empty()) return;
    if (found->second.is_dynamic) {
        dynamic_.erase(found->second.node);
        if (Ipv4Pool* const pool = pool_with(home_address)) pool->give_back(home_address);
    }
    nodes_.erase(found);
}

void HomeAgent::install(const BoundNode& node) {
    actions_.push_back(PersistNode{node});
    actions_.push_back(InstallBindings{node});
}

/// RFC 5944 section 4.6: the neighbours learn that the home address is here now.
void HomeAgent::begin_defence(const BoundNode& node) {
    repeat_arp(node, std::nullopt);
}

/// They learn that it is with the mobile node again.
void HomeAgent::end_defence(const BoundNode& node, const std::optional<MacAddress>& mac) {
    stop_repeating(node.home_address);
    if (mac) repeat_arp(node, mac);
}

void HomeAgent::repeat_arp(const BoundNode& node, const std::optional<MacAddress>& mac) {
    stop_repeating(node.home_address);
    if (node.virtual_home_link || config_.gratuitous_arps == 0) return;
    repeats_.insert_or_assign(node.home_address,
                              Repeat{now_, mac, node.home_port, config_.gratuitous_arps});
    repeats_due_.emplace(now_, node.home_address);
}

void HomeAgent::stop_repeating(const Ipv4Address& home_address) {
    const auto found = repeats_.find(home_address);
    if (found == repeats_.end()) return;
    repeats_due_.erase({found->second.due, home_address});
    repeats_.erase(found);
}

Actions HomeAgent::tick(TimePoint now, NtpTime time) {
    now_ = std::max(now_, now);
    time_ = time;
    while (!deadlines_.empty() && std::get<0>(*deadlines_.begin()) <= now_) {
        const auto [deadline, home_address, care_of_address] = *deadlines_.begin();
        BoundNode& node = nodes_.at(home_address);
        const auto due =
            std::ranges::find(node.bindings, care_of_address, &Binding::care_of_address);
        count(Counter::kBindingExpired, home_address, due->requested_from);
        drop_binding(node, static_cast<std::size_t>(due - node.bindings.begin()));
        install(node);
        if (node.bindings.empty()) end_defence(node, std::nullopt);
        forget_if_unbound(home_address);
    }
    while (!repeats_due_.empty() && repeats_due_.begin()->first <= now_) {
        const Ipv4Address home_address = repeats_due_.begin()->second;
        repeats_due_.erase(repeats_due_.begin());
        Repeat& one = repeats_.at(home_address);
        actions_.push_back(SendGratuitousArp{home_address, one.hardware_address, one.port});
        count(Counter::kGratuitousArp, home_address, {});
        if (--one.left == 0) {
            repeats_.erase(home_address);
            continue;
        }
        one.due = now_ + kArpInterval;
        repeats_due_.emplace(one.due, home_address);
    }
    repeat_revocations();
    return take_actions();
}

std::optional<TimePoint> HomeAgent::next_deadline() const {
    std::optional<TimePoint> next;
    const auto take = [&next](TimePoint at) { next = next ? std::min(*next, at) : at; };
    if (!deadlines_.empty()) take(std::get<0>(*deadlines_.begin()));
    if (!repeats_due_.empty()) take(repeats_due_.begin()->first);
    if (!revocations_due_.empty()) take(revocations_due_.begin()->first);
    return next;
}

}  // namespace homeport::mip4
