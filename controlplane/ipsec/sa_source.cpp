// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/ipsec/sa_source.hpp"

#include <string.h>

#include <algorithm>
#include <chrono>

#include "controlplane/ipsec/vpn_policies.hpp"
#include "dataplane/channel/records.hpp"

namespace homeport::sa {

namespace {

using config::ControlplaneConfig;
using config::HomeLinkConfig;
using config::MobileNodeConfig;
using config::MobileNodeRangeConfig;
using config::SaPairConfig;

std::string element(const char* list, std::size_t index) {
    return std::string("controlplane.") + list + "[" + std::to_string(index) + "]";
}

// Index of the home link that serves the address; configuration was checked, so there is one.
std::size_t link_of(const ControlplaneConfig& config, const Ipv6Address& home_address) {
    const auto it = std::ranges::find_if(config.home_links, [&](const HomeLinkConfig& link) {
        return link.prefix.contains(home_address);
    });
    return static_cast<std::size_t>(it - config.home_links.begin());
}

Ipv6Address mapped(const Ipv4Address& address) {
    Ipv6Address made{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}};
    address.store(made.bytes.data() + 12);
    return made;
}

std::uint64_t unix_seconds() {
    using namespace std::chrono;
    return static_cast<std::uint64_t>(
        duration_cast<seconds>(system_clock::now().time_since_epoch()).count());
}

std::vector<ProtectedPrefix> unprotected_nodes(const ControlplaneConfig& config) {
    std::vector<ProtectedPrefix> nodes;
    const auto add = [&](const Ipv6Address& first, std::uint32_t count) {
        const std::size_t link = link_of(config, first);
        if (link >= config.home_links.size() || nodes.size() > kMaxIndex) return;
        const auto agent = config.home_agent_address(config.home_links[link].prefix);
        if (!agent) return;
        nodes.push_back(
            {*agent, {IpAddress(first), IpAddress(nth_home_address(first, count - 1))}, {}});
    };
    for (const MobileNodeConfig& node : config.mobile_nodes) {
        if (!node.binding_update) add(node.home_address, 1);
    }
    for (const MobileNodeRangeConfig& range : config.mobile_node_ranges) {
        if (!range.binding_update) add(range.first, range.count);
    }
    return nodes;
}

}  // namespace

std::uint32_t owner_of(const Ipv6Address& home_address, std::uint32_t workers) {
    return static_cast<std::uint32_t>(home_address.low() % std::max<std::uint32_t>(workers, 1));
}

Ipv6Address nth_home_address(const Ipv6Address& first, std::uint32_t index) {
    Ipv6Address address = first;
    store_be64(address.bytes.data() + 8, first.low() + index);
    return address;
}

Ipv4Address nth_home_address(const Ipv4Address& first, std::uint32_t index) {
    Ipv4Address address;
    store_be32(address.bytes.data(), first.host() + index);
    return address;
}

std::vector<MobileNetwork> mobile_networks_of(const ControlplaneConfig& config) {
    std::vector<MobileNetwork> networks;
    for (const MobileNodeConfig& node : config.mobile_nodes) {
        const std::size_t link = link_of(config, node.home_address);
        if (link >= config.home_links.size()) continue;
        const auto agent = config.home_agent_address(config.home_links[link].prefix);
        if (!agent) continue;
        const auto add = [&](const ipsec::AddressRange& addresses) {
            networks.push_back({addresses, node.home_address, *agent});
        };
        for (const Ipv6Prefix& prefix : node.mobile_prefixes) add(ipsec::AddressRange::of(prefix));
        for (const Ipv4Prefix& prefix : node.ipv4_mobile_prefixes)
            add(ipsec::AddressRange::of(prefix));
    }
    return networks;
}

std::vector<ipsec::PolicyEntry> policies_of(const ControlplaneConfig& config) {
    std::vector<ProtectedPrefix> prefixes;
    for (const HomeLinkConfig& link : config.home_links) {
        if (const auto agent = config.home_agent_address(link.prefix)) {
            prefixes.push_back({*agent, ipsec::AddressRange::of(link.prefix), {}});
            if (link.ipv4_prefix) {
                prefixes.back().ipv4_home_addresses = ipsec::AddressRange::of(*link.ipv4_prefix);
            }
        }
    }
    PolicyOptions options;
    options.protect_payload = config.policy.protect_payload;
    options.protect_return_routability = config.policy.protect_return_routability;
    options.mobile_networks = mobile_networks_of(config);
    const auto unprotected = config.policy.allow_unprotected ? unprotected_nodes(config)
                                                             : std::vector<ProtectedPrefix>{};
    std::vector<ipsec::PolicyEntry> policies = vpn_policies(config);
    std::ranges::move(home_agent_policies(prefixes, unprotected, options),
                      std::back_inserter(policies));
    return policies;
}

class StaticSaSource::Loader {
  public:
    Loader(const ControlplaneConfig& config, StaticSaSource& out) : config_(config), out_(out) {}

    std::vector<std::string> run() {
        for (std::size_t i = 0; i < config_.mobile_nodes.size(); ++i) {
            node(element("mobile_nodes", i), config_.mobile_nodes[i]);
        }
        for (std::size_t i = 0; i < config_.mobile_node_ranges.size(); ++i) {
            range(element("mobile_node_ranges", i), config_.mobile_node_ranges[i]);
        }
        for (std::size_t i = 0; i < config_.vpn_gateway.clients.size(); ++i) {
            vpn_client(element("vpn_gateway.clients", i), config_.vpn_gateway.clients[i]);
        }
        return std::move(errors_);
    }

  private:
    static constexpr std::size_t kMostErrors = 50;

    /// A mobile node's addresses: an SA for payload carries both.
    struct Homes {
        Ipv6Address address;
        std::optional<Ipv4Address> ipv4;
    };

    void node(const std::string& path, const MobileNodeConfig& node) {
        if (!node.binding_update) out_.nodes_without_keys_.push_back(node.name);
        note_missing_payload_keys(node.payload.has_value(), node.name);
        const Homes homes{node.home_address, node.ipv4_home_address};
        const auto add = [&](const char* key, TableEntry entry,
                             const std::optional<SaPairConfig>& sas) {
            if (sas) pair(path + ".security." + key, homes, entry, *sas);
        };
        add("bu", TableEntry::kBindingUpdate, node.binding_update);
        add("mps", TableEntry::kPrefixDiscovery, node.prefix_discovery);
        add("rr", TableEntry::kReturnRoutability, node.return_routability);
        add("cn", TableEntry::kCorrespondentMobile, node.correspondent);
        add("payload", TableEntry::kPayload, node.payload);
    }

    void note_missing_payload_keys(bool has_keys, const std::string& name) {
        if (config_.policy.protect_payload && !has_keys) {
            out_.nodes_without_payload_keys_.push_back(name);
        }
    }

    void range(const std::string& path, const MobileNodeRangeConfig& range) {
        const std::string name = range.name + " and those behind it";
        note_missing_payload_keys(range.payload.has_value(), name);
        if (!range.binding_update) {
            out_.nodes_without_keys_.push_back(name);
            return;
        }
        for (std::uint32_t i = 0; i < range.count; ++i) {
            if (errors_.size() >= kMostErrors) return;
            const auto add = [&](const char* key, TableEntry entry,
                                 const std::optional<config::RangeSasConfig>& sas) {
                if (sas) pair_of_range(path + ".security" + key, range, i, key, entry, *sas);
            };
            add("", TableEntry::kBindingUpdate, range.binding_update);
            add(".mps", TableEntry::kPrefixDiscovery, range.prefix_discovery);
            add(".rr", TableEntry::kReturnRoutability, range.return_routability);
            add(".cn", TableEntry::kCorrespondentMobile, range.correspondent);
            add(".payload", TableEntry::kPayload, range.payload);
        }
    }

    /// `key`: what stands between the home address and ".in.key" in the names of key files.
    void pair_of_range(const std::string& path, const MobileNodeRangeConfig& range,
                       std::uint32_t index, const std::string& key, TableEntry entry,
                       const config::RangeSasConfig& of_range) {
        Homes homes{nth_home_address(range.first, index), std::nullopt};
        if (range.ipv4_first) homes.ipv4 = nth_home_address(*range.ipv4_first, index);
        SaPairConfig sas;
        sas.spi_in = of_range.spi_in + index;
        sas.spi_out = of_range.spi_out + index;
        sas.algorithm = of_range.algorithm;
        sas.replay_window = of_range.replay_window;
        sas.extended_sequence = of_range.extended_sequence;
        const std::string stem = range.key_directory + "/" + homes.address.to_string() + key;
        sas.key_file_in = stem + ".in.key";
        sas.key_file_out = stem + ".out.key";
        pair(path, homes, entry, sas);
    }

    void pair(const std::string& path, const Homes& homes, TableEntry entry,
              const SaPairConfig& sas) {
        const Ipv6Address& home_address = homes.address;
        const auto algorithm = known_algorithm(path, sas.algorithm);
        if (!algorithm) return;
        const std::size_t link = link_of(config_, home_address);
        const auto agent = link < config_.home_links.size()
                               ? config_.home_agent_address(config_.home_links[link].prefix)
                               : std::nullopt;
        if (!agent) {
            errors_.push_back(path + ": no home agent address for " + home_address.to_string());
            return;
        }
        const auto make = [&] {
            Sa sa;
            sa.policy = policy_id(entry, link);
            sa.algorithm = *algorithm;
            sa.home_address = home_address;
            if (entry == TableEntry::kPayload) sa.ipv4_home_address = homes.ipv4;
            sa.home_agent = *agent;
            sa.extended_sequence = sas.extended_sequence;
            return sa;
        };
        one(path, make(), channel::SaDirection::kInbound, sas.spi_in, sas.key_file_in,
            sas.replay_window);
        one(path, make(), channel::SaDirection::kOutbound, sas.spi_out, sas.key_file_out, 0);
    }

    void vpn_client(const std::string& path, const config::VpnClientConfig& client) {
        const SaPairConfig& sas = client.sa;
        const auto algorithm = known_algorithm(path + ".sa", sas.algorithm);
        if (!algorithm || config_.vpn_gateway.addresses.empty()) return;
        VpnPolicyUse use = vpn_policies_of(out_.policies_, client.inner);
        const auto make = [&] {
            Sa sa;
            sa.policy = use.first;
            sa.algorithm = *algorithm;
            sa.home_address = mapped(client.inner);
            sa.vpn = {client.inner, config_.vpn_gateway.addresses.front(), client.outer};
            sa.extended_sequence = sas.extended_sequence;
            return sa;
        };
        one(path + ".sa", make(), channel::SaDirection::kInbound, sas.spi_in, sas.key_file_in,
            sas.replay_window);
        one(path + ".sa", make(), channel::SaDirection::kOutbound, sas.spi_out, sas.key_file_out,
            0);
        if (!use.others.empty()) out_.networks_[mapped(client.inner)] = std::move(use.others);
    }

    /// One that may be used with static keys.
    std::optional<ipsec::Algorithm> known_algorithm(const std::string& path,
                                                    const std::string& name) {
        const auto algorithm = ipsec::parse_algorithm(name);
        if (!algorithm) {
            errors_.push_back(path + ": found algorithm '" + name +
                              "', expected one that is known");
            return std::nullopt;
        }
        if (auto allowed = check_static_key(*algorithm, config_.policy.lab_static_gcm); !allowed) {
            errors_.push_back(path + ": " + allowed.error().text);
            return std::nullopt;
        }
        return *algorithm;
    }

    void one(const std::string& path, Sa sa, channel::SaDirection direction, std::uint32_t spi,
             const std::string& file, std::uint16_t window) {
        auto keys = load_sa_keys(file, sa.algorithm);
        if (!keys) {
            errors_.push_back(path + ": " + keys.error().text);
            return;
        }
        sa.direction = direction;
        sa.spi = spi;
        sa.replay_window = window;
        sa.keys = std::move(*keys);
        out_.sas_.push_back(std::move(sa));
    }

    const ControlplaneConfig& config_;
    StaticSaSource& out_;
    std::vector<std::string> errors_;
};

std::expected<StaticSaSource, std::vector<std::string>> StaticSaSource::load(
    const ControlplaneConfig& config) {
    StaticSaSource source;
    source.lab_static_gcm_ = config.policy.lab_static_gcm;
    source.policies_ = policies_of(config);
    if (config.policy.protect_payload) source.note_networks(mobile_networks_of(config));
    if (const std::size_t count = vpn_policy_count(config); count > kMaxIndex + 1) {
        return std::unexpected(std::vector<std::string>{
            "controlplane.vpn_gateway: found " + std::to_string(count) +
            " policies, one for each network and stretch of successive inner addresses; expected "
            "at most " +
            std::to_string(kMaxIndex + 1)});
    }
    if (const std::size_t count = vpn_networks(config).size(); count > channel::kMaxSaNetworks) {
        return std::unexpected(std::vector<std::string>{
            "controlplane.vpn_gateway.networks: found " + std::to_string(count) +
            " with the internal home agents, expected at most " +
            std::to_string(channel::kMaxSaNetworks)});
    }
    auto errors = Loader(config, source).run();
    for (std::string& finding : lint_order(source.policies_)) errors.push_back(std::move(finding));
    for (const ipsec::LintFinding& finding : ipsec::lint(source.policies_)) {
        if (finding.kind == ipsec::LintFinding::Kind::kShadowed) errors.push_back(finding.text);
    }
    if (!errors.empty()) return std::unexpected(std::move(errors));
    std::ranges::stable_sort(source.sas_, {}, &Sa::spi);
    return source;
}

// An SA names the entries of its router's networks.
void StaticSaSource::note_networks(const std::vector<MobileNetwork>& networks) {
    const auto entry_for = [this](const ipsec::AddressRange& addresses) {
        return std::ranges::find_if(policies_, [&](const ipsec::PolicyEntry& entry) {
            const TableEntry kind = table_entry(entry.id);
            return (kind == TableEntry::kPayloadNetwork ||
                    kind == TableEntry::kPayloadNetworkIpv4) &&
                   entry.selectors.remote.front() == addresses;
        });
    };
    for (const MobileNetwork& network : networks) {
        const auto entry = entry_for(network.addresses);
        if (entry == policies_.end()) continue;
        channel::SaNetwork made;
        made.policy_id = entry->id;
        made.low = channel::WireAddress(network.addresses.first);
        made.high = channel::WireAddress(network.addresses.last);
        networks_[network.home_address].push_back(made);
    }
}

std::span<const channel::SaNetwork> StaticSaSource::networks_of(const Sa& sa) const {
    if (networks_.empty() ||
        (table_entry(sa.policy) != TableEntry::kPayload && !sa.vpn.has_value())) {
        return {};
    }
    const auto found = networks_.find(sa.home_address);
    return found == networks_.end() ? std::span<const channel::SaNetwork>{} : found->second;
}

channel::SaSet StaticSaSource::record_of(const Sa& sa, std::uint32_t workers) const {
    channel::SaSet record;
    record.spi = sa.spi;
    record.direction = sa.direction;
    record.extended_sequence = sa.extended_sequence ? 1 : 0;
    record.allow_static_gcm = lab_static_gcm_ ? 1 : 0;
    record.static_key = 1;
    record.replay_window = sa.replay_window;
    record.policy_id = sa.policy;
    record.owner_worker = owner_of(sa.home_address, workers);
    record.soft_seconds = sa.soft_seconds;
    record.hard_seconds = sa.hard_seconds;
    record.soft_bytes = sa.soft_bytes;
    record.hard_bytes = sa.hard_bytes;
    const std::uint64_t now = unix_seconds();
    if (sa.by_operator && now > sa.added_unix) record.age_seconds = now - sa.added_unix;
    const IpAddress peer = sa.vpn ? IpAddress(sa.vpn->inner) : IpAddress(sa.home_address);
    record.peer = channel::WireAddress(peer);
    const auto entry = std::ranges::find(policies_, sa.policy, &ipsec::PolicyEntry::id);
    ipsec::Selectors selectors = entry->selectors;
    selectors.remote = {ipsec::AddressRange::of(peer)};
    record.selector = to_record(selectors);
    if (sa.ipv4_home_address) {
        record.second_policy_id = policy_id(TableEntry::kPayloadIpv4, policy_index(sa.policy));
        record.second_peer = channel::WireAddress(*sa.ipv4_home_address);
    }
    record.network_count = static_cast<std::uint8_t>(networks_of(sa).size());
    if (is_tunnel(table_entry(sa.policy))) {
        record.mode = channel::SaMode::kTunnel;
        record.tunnel_local = channel::WireAddress(sa.home_agent);
        record.tunnel_remote = channel::WireAddress(sa.home_address);  // S1.11
    }
    if (sa.vpn) {
        record.tunnel_local = channel::WireAddress(sa.vpn->gateway);
        record.tunnel_remote = channel::WireAddress(sa.vpn->outer);
    }
    channel::copy_text(record.algorithm, ipsec::info(sa.algorithm).name);
    const auto put = [](ConstByteSpan key, auto& bytes, std::uint16_t& length) {
        length = static_cast<std::uint16_t>(std::min(key.size(), sizeof bytes));
        std::copy_n(key.begin(), length, bytes);
    };
    put(sa.keys.encryption.view(), record.encryption_key, record.encryption_key_length);
    put(sa.keys.integrity.view(), record.integrity_key, record.integrity_key_length);
    return record;
}

SaSource::Issued StaticSaSource::for_each_sa(SequenceLedger& ledger, std::uint32_t workers,
                                             const Visit& visit) const {
    return issue(sas_, ledger, workers, visit);
}

SaSource::Issued StaticSaSource::issue(std::span<const Sa> sas, SequenceLedger& ledger,
                                       std::uint32_t workers, const Visit& visit) const {
    std::vector<std::uint64_t> first_sequences;
    first_sequences.reserve(sas.size());
    for (const Sa& sa : sas) {
        const bool is_outbound = sa.direction == channel::SaDirection::kOutbound;
        first_sequences.push_back(is_outbound ? ledger.begin(sa.spi) : 1);
    }
    Issued issued;
    if (auto written = ledger.commit(); !written) issued.ledger_error = written.error();
    for (std::size_t i = 0; i < sas.size(); ++i) {
        if (!sas[i].extended_sequence && first_sequences[i] > 0xffffffff) {
            issued.used_up.push_back(sas[i].spi);
            continue;
        }
        channel::SaSet record = record_of(sas[i], workers);
        record.first_sequence = first_sequences[i];
        const auto networks = networks_of(sas[i]);
        visit(record,
              {reinterpret_cast<const std::uint8_t*>(networks.data()), networks.size_bytes()});
        explicit_bzero(&record, sizeof record);
    }
    return issued;
}

void StaticSaSource::describe(const std::function<void(const Description&)>& visit) const {
    for (const Sa& sa : sas_) {
        Description shown;
        shown.spi = sa.spi;
        shown.direction = sa.direction;
        shown.policy = sa.policy;
        shown.algorithm = sa.algorithm;
        shown.mode =
            is_tunnel(table_entry(sa.policy)) ? ipsec::Mode::kTunnel : ipsec::Mode::kTransport;
        shown.peer = sa.home_address;
        shown.replay_window = sa.replay_window;
        shown.extended_sequence = sa.extended_sequence;
        shown.by_operator = sa.by_operator;
        shown.hard_bytes = sa.hard_bytes;
        visit(shown);
    }
}

std::string peer_text(const Ipv6Address& peer) {
    return peer.is_v4_mapped() ? Ipv4Address::load(peer.bytes.data() + 12).to_string()
                               : peer.to_string();
}

}  // namespace homeport::sa
