// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/mip4/home_agent.hpp"

#include <algorithm>

namespace homeport::mip4 {

HomeAgent::HomeAgent(HomeAgentConfig config, TimePoint now, std::uint64_t seed)
    : config_(std::move(config)), random_(seed), now_(now), failure_filled_(now) {
    failure_tokens_ = config_.failure_rate.burst;
    build_index();
}

void HomeAgent::build_index() {
    for (std::size_t i = 0; i < config_.nodes.size(); ++i) {
        const Node& node = config_.nodes[i];
        if (node.home_address) by_address_.emplace(*node.home_address, i);
        if (!node.nai.empty()) by_nai_.emplace(node.nai, i);
    }
}

Actions HomeAgent::take_actions() {
    Actions taken;
    taken.swap(actions_);
    return taken;
}

void HomeAgent::count(Counter counter, const Ipv4Address& home_address, const Endpoint& source,
                      const char* detail) {
    counters_.add(counter);
    actions_.push_back(CountEvent{counter, home_address, source, std::nullopt, detail});
}

Actions HomeAgent::receive(ConstByteSpan payload, const RequestInfo& info, TimePoint now,
                           NtpTime time) {
    now_ = std::max(now_, now);
    auto decoded = wire::decode_mip4(payload);
    if (!decoded) {
        const bool unknown = decoded.error().kind == wire::Mip4DecodeError::Kind::kType;
        count(unknown ? Counter::kUnknownType : Counter::kMalformed, {}, info.source,
              decoded.error().what);
        return take_actions();
    }
    auto* const message = std::get_if<wire::RegistrationRequest>(&*decoded);
    if (message == nullptr) {
        count(Counter::kUnknownType, {}, info.source, "no request");
        return take_actions();
    }
    Request request;
    request.message = std::move(*message);
    request.payload = payload;
    request.info = info;
    process(request, time);
    return take_actions();
}

Actions HomeAgent::keepalive(const Ipv4Address& home_address, const Endpoint& source,
                             TimePoint now) {
    now_ = std::max(now_, now);
    const auto found = nodes_.find(home_address);
    if (found == nodes_.end()) return {};
    for (Binding& binding : found->second.bindings) {
        if (!binding.half_bound || binding.requested_from.address != source.address) continue;
        binding.half_bound = false;
        binding.tunnel_end = source;
        count(Counter::kHalfBoundCompleted, home_address, source);
        install(found->second);
        break;
    }
    return take_actions();
}

Actions HomeAgent::clear(const Ipv4Address& home_address, TimePoint now) {
    now_ = std::max(now_, now);
    const auto found = nodes_.find(home_address);
    if (found == nodes_.end()) return {};
    while (!found->second.bindings.empty()) {
        count(Counter::kBindingDeleted, home_address, {}, "by the operator");
        drop_binding(found->second, found->second.bindings.size() - 1);
    }
    install(found->second);
    end_defence(found->second, std::nullopt);
    forget_if_unbound(home_address);
    return take_actions();
}

Actions HomeAgent::restore(std::span<const BoundNode> kept, TimePoint now) {
    now_ = std::max(now_, now);
    for (const BoundNode& node : kept) {
        BoundNode restored = node;
        const auto configured = std::ranges::find(config_.nodes, node.node, &Node::name);
        const HomeNetwork* const network = network_of(node.home_address);
        std::erase_if(restored.bindings, [&](const Binding& one) {
            return configured == config_.nodes.end() || network == nullptr || one.deadline <= now_;
        });
        if (restored.bindings.empty()) {
            actions_.push_back(PersistNode{restored});
            continue;
        }
        restored.virtual_home_link = network->is_virtual;
        restored.home_port = network->port;
        binding_count_ += restored.bindings.size();
        if (restored.is_dynamic) dynamic_[restored.node] = restored.home_address;
        for (const Binding& one : restored.bindings) set_deadline(restored, one);
        install(restored);
        nodes_.insert_or_assign(restored.home_address, std::move(restored));
    }
    return take_actions();
}

void HomeAgent::restore(const PersistIdentification& kept) {
    identifications_[{kept.node, kept.spi}] = kept.state;
}

const BoundNode* HomeAgent::find(const Ipv4Address& home_address) const {
    const auto found = nodes_.find(home_address);
    return found == nodes_.end() ? nullptr : &found->second;
}

/// RFC 2794: the identifier names a node that has no home address yet; one with a static home
/// address is known by it.
const Node* HomeAgent::node_of(const wire::RegistrationRequest& message) const {
    if (!message.home_address.is_unspecified()) {
        if (const Node* known = node_of_home_address(message.home_address)) return known;
    }
    const auto* nai = wire::find_extension<wire::Mip4NetworkAccessIdentifier>(message.extensions);
    if (nai == nullptr) return nullptr;
    const auto found = by_nai_.find(nai->identifier);
    if (found == by_nai_.end()) return nullptr;
    const Node& node = config_.nodes[found->second];
    if (message.home_address.is_unspecified()) return &node;
    // A home address that somebody else holds, or that this node was never given.
    const auto held = dynamic_.find(node.name);
    return held != dynamic_.end() && held->second == message.home_address ? &node : nullptr;
}

const Node* HomeAgent::node_of_home_address(const Ipv4Address& home_address) const {
    const auto is_static = by_address_.find(home_address);
    if (is_static != by_address_.end()) return &config_.nodes[is_static->second];
    const BoundNode* const bound = find(home_address);
    if (bound == nullptr) return nullptr;
    const auto named = std::ranges::find(config_.nodes, bound->node, &Node::name);
    return named == config_.nodes.end() ? nullptr : &*named;
}

const HomeNetwork* HomeAgent::network_of(const Ipv4Address& home_address) const {
    const auto found = std::ranges::find_if(config_.home_networks, [&](const HomeNetwork& one) {
        return one.prefix.contains(home_address);
    });
    return found == config_.home_networks.end() ? nullptr : &*found;
}

/// The address that the node holds, or the first free one.
std::optional<Ipv4Address> HomeAgent::allocate(const Node& node) const {
    const auto held = dynamic_.find(node.name);
    if (held != dynamic_.end()) return held->second;
    for (const HomeNetwork& network : config_.home_networks) {
        if (network.pool_first.is_unspecified()) continue;
        for (std::uint32_t at = network.pool_first.host(); at <= network.pool_last.host(); ++at) {
            Ipv4Address candidate;
            store_be32(candidate.bytes.data(), at);
            if (!nodes_.contains(candidate) && !by_address_.contains(candidate) &&
                !is_own(candidate)) {
                return candidate;
            }
            if (at == 0xffffffff) break;
        }
    }
    return std::nullopt;
}

bool HomeAgent::is_own(const Ipv4Address& address) const {
    return std::ranges::find(config_.addresses, address) != config_.addresses.end();
}

IdentificationState& HomeAgent::identification_of(const Node& node, std::uint32_t spi) {
    return identifications_[{node.name, spi}];
}

}  // namespace homeport::mip4
