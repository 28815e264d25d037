// SPDX-License-Identifier: BSD-3-Clause
#include "tools/mobile-node/attachment.hpp"

#include <algorithm>
#include <limits>
#include <tuple>

namespace homeport::mobile_node {

namespace {

struct Ranked {
    Candidate candidate;
    std::tuple<bool, std::size_t, bool, bool, int, Ipv6Address> rank;
};

bool is_usable(const LinkAddress& address, const SelectionRules& rules) {
    return !address.tentative && address.address != rules.home_address &&
           address.address.is_unicast_routable();
}

bool has_link_local(const Link& link) {
    return std::ranges::any_of(link.addresses, [](const LinkAddress& address) {
        return address.address.is_link_local() && !address.tentative;
    });
}

bool is_home_link(const LinkTable& table, const Link& link, const SelectionRules& rules) {
    if (link.name == rules.home_interface) return true;
    for (const LinkAddress& address : link.addresses) {
        if (is_usable(address, rules) && address.prefix_length < 128 &&
            rules.home_prefix.contains(address.address)) {
            return true;
        }
    }
    return std::ranges::any_of(table.routes(), [&](const LinkRoute& route) {
        return route.interface == link.index && route.on_link &&
               route.destination == rules.home_prefix;
    });
}

// Of the best route to the home agent through `link`; nothing if there is none.
std::optional<std::uint32_t> metric_to_home_agent(const LinkTable& table, const Link& link,
                                                  const SelectionRules& rules) {
    std::optional<std::uint32_t> best;
    for (const LinkRoute& route : table.routes()) {
        if (route.interface != link.index || !route.destination.contains(rules.home_agent)) {
            continue;
        }
        if (!best || route.metric < *best) best = route.metric;
    }
    return best;
}

std::optional<std::chrono::seconds> lifetime_of(const LinkAddress& address) {
    if (address.valid_lifetime == kInfinite) return std::nullopt;
    return std::chrono::seconds{address.valid_lifetime};
}

class Finder {
  public:
    Finder(const LinkTable& table, const SelectionRules& rules,
           const std::optional<Candidate>& current)
        : table_(table), rules_(rules), current_(current) {}

    std::vector<Candidate> run() {
        for (const auto& [index, link] : table_.links()) consider(link);
        std::ranges::sort(found_, {}, &Ranked::rank);
        std::vector<Candidate> out;
        for (Ranked& ranked : found_) out.push_back(std::move(ranked.candidate));
        return out;
    }

  private:
    void consider(const Link& link) {
        if (!link.running || link.loopback || link.name == rules_.tunnel) return;
        std::size_t order = 0;
        if (!rules_.interfaces.empty()) {
            const auto it = std::ranges::find(rules_.interfaces, link.name);
            if (it == rules_.interfaces.end()) return;
            order = static_cast<std::size_t>(it - rules_.interfaces.begin());
        }
        if (is_home_link(table_, link, rules_)) {
            if (!has_link_local(link)) return;
            Candidate home{link.index, link.name, true, rules_.home_address, {}, link.mtu};
            return add(std::move(home), order, false, false);
        }
        const auto metric = metric_to_home_agent(table_, link, rules_);
        if (!metric) return;
        if (rules_.interfaces.empty()) order = std::size_t{1} + *metric;
        for (const LinkAddress& address : link.addresses) {
            if (!is_usable(address, rules_) || rules_.home_prefix.contains(address.address)) {
                continue;
            }
            Candidate away{link.index,           link.name, false, address.address,
                           lifetime_of(address), link.mtu};
            add(std::move(away), order, address.deprecated, address.temporary);
        }
    }

    void add(Candidate candidate, std::size_t order, bool deprecated, bool temporary) {
        const bool is_current = current_ && current_->interface == candidate.interface &&
                                current_->at_home == candidate.at_home &&
                                current_->care_of_address == candidate.care_of_address;
        auto rank = std::tuple(deprecated, order, !is_current, temporary, candidate.interface,
                               candidate.care_of_address);
        found_.push_back({std::move(candidate), std::move(rank)});
    }

    const LinkTable& table_;
    const SelectionRules& rules_;
    const std::optional<Candidate>& current_;
    std::vector<Ranked> found_;
};

}  // namespace

std::vector<Candidate> find_candidates(const LinkTable& table, const SelectionRules& rules,
                                       const std::optional<Candidate>& current) {
    return Finder(table, rules, current).run();
}

}  // namespace homeport::mobile_node
