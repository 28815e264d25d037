// SPDX-License-Identifier: BSD-3-Clause
#include "tools/mobile-node/attachment.hpp"

#include <algorithm>
#include <limits>
#include <tuple>

namespace homeport::mobile_node {

namespace {

struct Ranked {
    Candidate candidate;
    std::tuple<bool, bool, std::size_t, bool, std::uint32_t, std::size_t, bool, bool, int,
               mip6::CareOf>
        rank;
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

bool is_usable(const LinkAddress4& address, const SelectionRules& rules) {
    return address.address.is_unicast() && !address.address.is_link_local() &&
           address.address != rules.ipv4_home_address;
}

// Of the best route to the home agent through `link`; nothing if there is none.
template <class Address>
std::optional<std::uint32_t> metric_to(const Address& home_agent,
                                       const std::vector<BasicLinkRoute<Address>>& routes,
                                       const Link& link) {
    std::optional<std::uint32_t> best;
    for (const auto& route : routes) {
        if (route.interface != link.index || !route.destination.contains(home_agent)) continue;
        if (!best || route.metric < *best) best = route.metric;
    }
    return best;
}

std::optional<std::chrono::seconds> lifetime_of(std::uint32_t seconds) {
    if (seconds == kInfinite) return std::nullopt;
    return std::chrono::seconds{seconds};
}

// What comes before the preference of an address to others of its link.
struct Order {
    bool silent = false;
    bool deprecated = false;
    std::size_t interface = 0;
    std::uint32_t metric = 0;
    std::size_t home_agent = 0;  // of home_agents4
    bool temporary = false;
};

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
            return add(std::move(home), {.interface = order});
        }
        if (rules_.interfaces.empty()) order = 1;
        consider_ipv6(link, order);
        for (std::size_t i = 0; i < rules_.home_agents4.size(); ++i) consider_ipv4(link, order, i);
    }

    // Where interfaces are listed their order alone counts.
    [[nodiscard]] std::uint32_t rank_of(std::uint32_t metric) const {
        return rules_.interfaces.empty() ? metric : 0;
    }

    void consider_ipv6(const Link& link, std::size_t order) {
        const auto metric = metric_to(rules_.home_agent, table_.routes(), link);
        if (!metric) return;
        for (const LinkAddress& address : link.addresses) {
            if (!is_usable(address, rules_) || rules_.home_prefix.contains(address.address)) {
                continue;
            }
            Candidate away{
                link.index, link.name, false, address.address, lifetime_of(address.valid_lifetime),
                link.mtu};
            add(std::move(away), {.silent = rules_.silent,
                                  .deprecated = address.deprecated,
                                  .interface = order,
                                  .metric = rank_of(*metric),
                                  .temporary = address.temporary});
        }
    }

    void consider_ipv4(const Link& link, std::size_t order, std::size_t number) {
        const Ipv4Address& home_agent = rules_.home_agents4[number];
        const auto metric = metric_to(home_agent, table_.routes4(), link);
        if (!metric) return;
        const bool silent = std::ranges::find(rules_.silent4, home_agent) != rules_.silent4.end();
        for (const LinkAddress4& address : link.addresses4) {
            if (!is_usable(address, rules_)) continue;
            Candidate away{link.index,
                           link.name,
                           false,
                           mip6::CareOf(address.address, home_agent, link.index),
                           lifetime_of(address.valid_lifetime),
                           link.mtu};
            add(std::move(away), {.silent = silent,
                                  .deprecated = address.deprecated,
                                  .interface = order,
                                  .metric = rank_of(*metric),
                                  .home_agent = number});
        }
    }

    void add(Candidate candidate, const Order& order) {
        const bool is_current = current_ && current_->interface == candidate.interface &&
                                current_->at_home == candidate.at_home &&
                                current_->care_of_address == candidate.care_of_address;
        auto rank = std::tuple(order.silent, order.deprecated, order.interface,
                               candidate.care_of_address.is_ipv4(), order.metric, order.home_agent,
                               !is_current, order.temporary, candidate.interface,
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
