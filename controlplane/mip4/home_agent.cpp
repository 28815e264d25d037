// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/mip4/home_agent.hpp"

#include <algorithm>
#include <string_view>

namespace homeport::mip4 {

HomeAgent::HomeAgent(HomeAgentConfig config, TimePoint now, std::uint64_t seed)
    : config_(std::move(config)),
      random_(seed),
      now_(now),
      failures_{config_.failure_rate.burst, now} {
    build_index();
}

void HomeAgent::build_index() {
    by_address_.clear();
    by_nai_.clear();
    by_name_.clear();
    by_foreign_agent_.clear();
    pools_.clear();
    for (const HomeNetwork& network : config_.home_networks) {
        if (!network.pool_first.is_unspecified()) {
            pools_.emplace_back(network.pool_first, network.pool_last);
        }
    }
    const auto take = [this](const Ipv4Address& address) {
        if (Ipv4Pool* const pool = pool_with(address)) pool->take(address);
    };
    const Bucket full{config_.node_rate.burst, now_};
    node_buckets_.assign(config_.nodes.size(), {full, full});
    for (std::size_t i = 0; i < config_.nodes.size(); ++i) {
        const Node& node = config_.nodes[i];
        by_name_.emplace(node.name, i);
        if (!node.nai.empty()) by_nai_.emplace(node.nai, i);
        if (!node.home_address) continue;
        by_address_.emplace(*node.home_address, i);
        take(*node.home_address);
    }
    for (std::size_t i = 0; i < config_.foreign_agents.size(); ++i) {
        by_foreign_agent_.emplace(config_.foreign_agents[i].address, i);
    }
    for (const Ipv4Address& own : config_.addresses) take(own);
    for (const auto& [address, node] : nodes_) take(address);
}

Ipv4Pool* HomeAgent::pool_with(const Ipv4Address& address) {
    const auto found =
        std::ranges::find_if(pools_, [&](const Ipv4Pool& pool) { return pool.contains(address); });
    return found == pools_.end() ? nullptr : &*found;
}

bool HomeAgent::Bucket::take(const RateLimit& limit, TimePoint now) {
    const std::chrono::duration<double> passed = now - filled;
    filled = now;
    tokens = std::min(limit.burst, tokens + passed.count() * limit.per_second);
    if (tokens < 1) return false;
    tokens -= 1;
    return true;
}

Actions HomeAgent::take_actions() {
    Actions taken;
    taken.swap(actions_);
    return taken;
}

void HomeAgent::count(Counter counter, const Ipv4Address& home_address, const Endpoint& source,
                      const char* detail, const Endpoint& before) {
    counters_.add(counter);
    actions_.push_back(CountEvent{counter, home_address, source, std::nullopt, detail, before});
}

Actions HomeAgent::receive(ConstByteSpan payload, const RequestInfo& info, TimePoint now,
                           NtpTime time) {
    now_ = std::max(now_, now);
    time_ = time;
    // An answer must have somewhere to go, and not to us: two home agents would talk for ever.
    if (!info.source.address.is_unicast() || info.source.port == 0 || is_own(info.source.address)) {
        count(Counter::kBadSource, {}, info.source, "source cannot be answered");
        return take_actions();
    }
    auto decoded = wire::decode_mip4(payload);
    if (!decoded) {
        const bool unknown = decoded.error().kind == wire::Mip4DecodeError::Kind::kType;
        count(unknown ? Counter::kUnknownType : Counter::kMalformed, {}, info.source,
              decoded.error().what);
        return take_actions();
    }
    if (const auto* revocation = std::get_if<wire::RegistrationRevocation>(&*decoded)) {
        receive_revocation(*revocation, payload, info);
        return take_actions();
    }
    if (const auto* answer = std::get_if<wire::RevocationAcknowledgement>(&*decoded)) {
        receive_acknowledgement(*answer, payload, info);
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
    process(request);
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

void HomeAgent::clear_node(BoundNode& node, const char* why) {
    while (!node.bindings.empty()) {
        count(Counter::kBindingDeleted, node.home_address, {}, why);
        begin_revocation(node, node.bindings.back());
        drop_binding(node, node.bindings.size() - 1);
    }
    install(node);
    end_defence(node, std::nullopt);
    forget_if_unbound(Ipv4Address(node.home_address));
}

Actions HomeAgent::clear(const Ipv4Address& home_address, TimePoint now, NtpTime time) {
    now_ = std::max(now_, now);
    time_ = time;
    const auto found = nodes_.find(home_address);
    if (found == nodes_.end()) return {};
    clear_node(found->second, "by the operator");
    return take_actions();
}

Actions HomeAgent::reconfigure(HomeAgentConfig config, TimePoint now, NtpTime time) {
    now_ = std::max(now_, now);
    time_ = time;
    std::unordered_map<std::string_view, const Node*> wanted;
    for (const Node& node : config.nodes) wanted.emplace(node.name, &node);
    const auto is_allowed = [&](const BoundNode& bound) {
        const auto network = std::ranges::find_if(
            config.home_networks,
            [&](const HomeNetwork& one) { return one.prefix.contains(bound.home_address); });
        const auto found = wanted.find(bound.node);
        if (network == config.home_networks.end() || found == wanted.end()) return false;
        const Node& node = *found->second;
        const auto is_ours = [&](const Binding& binding) {
            return std::ranges::find(config.addresses, binding.local_end.address) !=
                   config.addresses.end();
        };
        return !node.prohibited && bound.is_dynamic == !node.home_address &&
               (bound.is_dynamic || *node.home_address == bound.home_address) &&
               std::ranges::all_of(bound.bindings, is_ours);
    };
    // With the keys of before: those who are told know them.
    std::vector<Ipv4Address> over;
    for (const auto& [address, node] : nodes_) {
        if (!is_allowed(node)) over.push_back(address);
    }
    for (const Ipv4Address& address : over) {
        clear_node(nodes_.at(address), "no longer in the configuration");
    }
    config_ = std::move(config);
    build_index();
    for (auto& [address, node] : nodes_) {
        const HomeNetwork& network = *network_of(address);
        node.virtual_home_link = network.is_virtual;
        node.home_port = network.port;
    }
    return take_actions();
}

Actions HomeAgent::restore(std::span<const BoundNode> kept, TimePoint now) {
    now_ = std::max(now_, now);
    for (const BoundNode& node : kept) {
        BoundNode restored = node;
        const Node* const configured = node_named(node.node);
        const HomeNetwork* const network = network_of(node.home_address);
        std::erase_if(restored.bindings, [&](const Binding& one) {
            return configured == nullptr || network == nullptr || one.deadline <= now_ ||
                   !is_own(one.local_end.address);
        });
        if (restored.bindings.empty()) {
            actions_.push_back(PersistNode{restored});
            continue;
        }
        restored.virtual_home_link = network->is_virtual;
        restored.home_port = network->port;
        binding_count_ += restored.bindings.size();
        if (restored.is_dynamic) dynamic_[restored.node] = restored.home_address;
        if (Ipv4Pool* const pool = pool_with(restored.home_address)) {
            pool->take(restored.home_address);
        }
        for (const Binding& one : restored.bindings) set_deadline(restored, one);
        install(restored);
        nodes_.insert_or_assign(restored.home_address, std::move(restored));
    }
    return take_actions();
}

void HomeAgent::restore(const PersistIdentification& kept) {
    identification_of(kept.node, kept.spi) = kept.state;
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
    return found == by_nai_.end() ? nullptr : &config_.nodes[found->second];
}

const Node* HomeAgent::node_of_home_address(const Ipv4Address& home_address) const {
    const auto is_static = by_address_.find(home_address);
    if (is_static != by_address_.end()) return &config_.nodes[is_static->second];
    const BoundNode* const bound = find(home_address);
    return bound == nullptr ? nullptr : node_named(bound->node);
}

const Node* HomeAgent::node_named(const std::string& name) const {
    const auto found = by_name_.find(name);
    return found == by_name_.end() ? nullptr : &config_.nodes[found->second];
}

const HomeNetwork* HomeAgent::network_of(const Ipv4Address& home_address) const {
    const auto found = std::ranges::find_if(config_.home_networks, [&](const HomeNetwork& one) {
        return one.prefix.contains(home_address);
    });
    return found == config_.home_networks.end() ? nullptr : &*found;
}

/// The address that the node holds, or a free one.
std::optional<Ipv4Address> HomeAgent::allocate(const Node& node) const {
    const auto held = dynamic_.find(node.name);
    if (held != dynamic_.end()) return held->second;
    for (const Ipv4Pool& pool : pools_) {
        if (const auto free = pool.next_free()) return free;
    }
    return std::nullopt;
}

/// Whether a node whose address comes from a pool may have this one: the one that it holds, or,
/// since it may know it from before its binding ended, one of a pool that nobody holds.
bool HomeAgent::may_have(const Node& node, const Ipv4Address& address) const {
    const auto held = dynamic_.find(node.name);
    if (held != dynamic_.end()) return held->second == address;
    return std::ranges::any_of(pools_, [&](const Ipv4Pool& pool) {
        return pool.contains(address) && !pool.is_taken(address);
    });
}

bool HomeAgent::is_own(const Ipv4Address& address) const {
    return std::ranges::find(config_.addresses, address) != config_.addresses.end();
}

IdentificationState& HomeAgent::identification_of(const std::string& node, std::uint32_t spi) {
    std::vector<Identification>& of_node = identifications_[node];
    const auto found = std::ranges::find(of_node, spi, &Identification::spi);
    if (found != of_node.end()) return found->state;
    return of_node.emplace_back(Identification{spi, {}}).state;
}

}  // namespace homeport::mip4
