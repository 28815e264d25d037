// SPDX-License-Identifier: BSD-3-Clause
#include "tools/mobile-node/security.hpp"

#include <tuple>

#include "controlplane/ipsec/sa_keys.hpp"
#include "dataplane/base/ip_header.hpp"
#include "dataplane/ipsec/algorithm.hpp"
#include "dataplane/ipsec/sa_parameters.hpp"

namespace homeport::mobile_node {

namespace {

// The ledger gives up a margin of numbers at each start, so it may lag behind by less than that.
constexpr std::uint64_t kWriteEvery = 1024;
static_assert(kWriteEvery < sa::SequenceLedger::kMargin);
constexpr std::uint32_t kMostAssociations = 16;

constexpr unsigned kEspHeader = 8;   // SPI and sequence number
constexpr unsigned kEspTrailer = 2;  // pad length and next header

/// Whether the entry `one` of the policy is served by the SAs for `entry`.
bool belongs_to(sa::TableEntry one, sa::TableEntry entry) {
    using enum sa::TableEntry;
    if (one == entry) return true;
    return entry == kPayload &&
           (one == kPayloadIpv4 || one == kPayloadNetwork || one == kPayloadNetworkIpv4);
}

}  // namespace

Security::Security() : spd_(reclaimer_) {}

Result<std::unique_ptr<Security>> Security::create(const Config& config) {
    std::unique_ptr<Security> out(new Security());
    ipsec::SecurityAssociationDatabase::Options options;
    options.max_associations = kMostAssociations;
    options.lab_static_gcm = config.lab_static_gcm;
    auto sad = ipsec::SecurityAssociationDatabase::create(options, out->reclaimer_);
    if (!sad) return fail(sad.error().text);
    out->sad_ = std::move(*sad);
    out->config_ = config;
    if (auto done = out->put_policies(); !done) return std::unexpected(done.error());
    if (auto done = out->open_ledger(); !done) return std::unexpected(done.error());
    using Entry = sa::TableEntry;
    for (const auto& [entry, key, pair] :
         {std::tuple{Entry::kBindingUpdate, "security.bu", &config.binding_update},
          std::tuple{Entry::kPrefixDiscovery, "security.mps", &config.prefix_discovery},
          std::tuple{Entry::kReturnRoutability, "security.rr", &config.return_routability},
          std::tuple{Entry::kCorrespondentMobile, "security.cn", &config.correspondent},
          std::tuple{Entry::kPayload, "security.payload", &config.payload}}) {
        if (auto done = out->add_pair(entry, key, *pair); !done) {
            return std::unexpected(done.error());
        }
    }
    auto engine = ipsec::EspEngine::create(out->spd_, *out->sad_);
    if (!engine) return fail(engine.error().text);
    out->engine_ = std::move(*engine);
    out->queries_ = std::make_unique<ipsec::DatabaseQueries>(out->spd_, *out->sad_);
    return out;
}

Result<void> Security::put_policies() {
    sa::PolicyOptions options;
    // Both or none, as at the home agent: an entry of these without keys lets nothing pass.
    options.protect_return_routability =
        (config_.return_routability || config_.correspondent) && !at_home_;
    options.protect_payload = config_.payload && !at_home_;
    options.unprotected = config_.lab_unprotected;
    const auto add_network = [&](const ipsec::AddressRange& addresses) {
        options.mobile_networks.push_back({addresses, config_.home_address, config_.home_agent});
    };
    const mip6::MobileRouterConfig& router = config_.mobile_router.protocol;
    for (const Ipv6Prefix& prefix : router.prefixes) add_network(ipsec::AddressRange::of(prefix));
    for (const Ipv4Prefix& prefix : router.ipv4_prefixes)
        add_network(ipsec::AddressRange::of(prefix));
    options.route_optimised = route_optimised_;
    auto entries = sa::mobile_node_policies(config_.home_address, config_.home_agent, options,
                                            config_.ipv4_home_address);
    if (config_.lab_unprotected) {
        // Its packets all go by the entry before it, which the database would not accept.
        std::erase_if(entries, [](const ipsec::PolicyEntry& entry) {
            return entry.id == sa::policy_id(sa::TableEntry::kBindingUpdate);
        });
    }
    const auto done = spd_.replace(std::move(entries));
    if (!done) return fail(done.error().text);
    return {};
}

Result<void> Security::set_at_home(bool at_home) {
    if (at_home == at_home_) return {};
    at_home_ = at_home;
    return put_policies();
}

Result<void> Security::set_route_optimised(const std::vector<Ipv6Address>& correspondents) {
    if (correspondents == route_optimised_) return {};
    route_optimised_ = correspondents;
    return put_policies();
}

unsigned Security::tunnel_mtu(unsigned path_mtu, unsigned outer) const {
    if (path_mtu <= outer) return 0;
    const unsigned room = path_mtu - outer;
    const auto algorithm =
        config_.payload ? ipsec::parse_algorithm(config_.payload->algorithm) : std::nullopt;
    if (!algorithm) return room;
    const ipsec::AlgorithmInfo& cipher = ipsec::info(*algorithm);
    const unsigned around = kEspHeader + cipher.iv_length + cipher.icv_length;
    if (room < around + cipher.block) return 0;
    return (room - around) / cipher.block * cipher.block - kEspTrailer;
}

Result<void> Security::open_ledger() {
    if (config_.state_file.empty() || config_.lab_unprotected) return {};
    auto ledger = sa::SequenceLedger::open(config_.state_file);
    if (!ledger) return fail("state_file " + config_.state_file + ": " + ledger.error());
    ledger_ = std::move(*ledger);
    return {};
}

Result<void> Security::add_pair(sa::TableEntry entry, const std::string& key,
                                const std::optional<SaPair>& pair) {
    if (!pair) return {};
    for (const auto direction : {ipsec::Direction::kInbound, ipsec::Direction::kOutbound}) {
        if (auto done = add_association(entry, *pair, direction); !done) {
            return fail(key + ": " + done.error().text);
        }
    }
    return {};
}

Result<void> Security::add_association(sa::TableEntry entry, const SaPair& pair,
                                       ipsec::Direction direction) {
    const bool is_outbound = direction == ipsec::Direction::kOutbound;
    const auto algorithm = ipsec::parse_algorithm(pair.algorithm);
    if (!algorithm) return fail("algorithm '" + pair.algorithm + "' is not known");
    auto keys = sa::load_sa_keys(is_outbound ? pair.key_file_out : pair.key_file_in, *algorithm);
    if (!keys) return fail(keys.error().text);

    ipsec::SaParameters parameters;
    parameters.direction = direction;
    parameters.spi = ipsec::Spi{is_outbound ? pair.spi_out : pair.spi_in};
    parameters.algorithm = *algorithm;
    parameters.encryption_key = std::move(keys->encryption);
    parameters.integrity_key = std::move(keys->integrity);
    parameters.mode = ipsec::Mode::kTransport;
    parameters.esn = pair.extended_sequence;
    parameters.replay_window = is_outbound ? std::uint16_t{0} : pair.replay_window;
    parameters.static_key = true;
    for (const ipsec::PolicyEntry& one : spd_.entries()) {
        if (!belongs_to(sa::table_entry(one.id), entry)) continue;
        parameters.policies.push_back({one.id, std::nullopt});
        parameters.selectors.push_back(one.selectors);
    }
    if (sa::is_tunnel(entry)) {
        parameters.mode = ipsec::Mode::kTunnel;
        // The home address is its end for good: no move changes the SA (S1.11, S1.21).
        parameters.tunnel_local = config_.home_address;
        parameters.tunnel_remote = config_.home_agent;
    }
    if (is_outbound && ledger_) {
        parameters.first_sequence = ledger_->begin(pair.spi_out);
        ledger_->note(pair.spi_out, parameters.first_sequence);
        written_[pair.spi_out] = parameters.first_sequence;
        if (auto done = ledger_->commit(); !done) return fail("state_file: " + done.error());
    }
    if (auto added = sad_->add(parameters); !added) return fail(added.error().text);
    return {};
}

std::vector<ipsec::SaStatus> Security::associations() const {
    std::vector<ipsec::SaStatus> out;
    for (const auto handle : sad_->handles()) {
        if (auto status = sad_->status(handle)) out.push_back(std::move(*status));
    }
    return out;
}

Result<void> Security::note_sequences() {
    if (!ledger_) return {};
    bool is_news = false;
    for (const ipsec::SaStatus& status : associations()) {
        std::uint64_t& written = written_[status.spi.value];
        if (status.direction != ipsec::Direction::kOutbound ||
            status.highest_sequence < written + kWriteEvery) {
            continue;
        }
        ledger_->note(status.spi.value, status.highest_sequence);
        written = status.highest_sequence;
        is_news = true;
    }
    if (!is_news) return {};
    if (auto done = ledger_->commit(); !done) return fail("state_file: " + done.error());
    return {};
}

}  // namespace homeport::mobile_node
