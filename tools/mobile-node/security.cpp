// SPDX-License-Identifier: BSD-3-Clause
#include "tools/mobile-node/security.hpp"

#include "controlplane/ipsec/policy_table.hpp"
#include "controlplane/ipsec/sa_keys.hpp"
#include "dataplane/ipsec/algorithm.hpp"
#include "dataplane/ipsec/sa_parameters.hpp"

namespace homeport::mobile_node {

namespace {

// The ledger gives up a margin of numbers at each start, so it may lag behind by less than that.
constexpr std::uint64_t kWriteEvery = 1024;
static_assert(kWriteEvery < sa::SequenceLedger::kMargin);
constexpr std::uint32_t kMostAssociations = 16;

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
    if (auto done = out->add_policies(config); !done) return std::unexpected(done.error());
    if (auto done = out->open_ledger(config); !done) return std::unexpected(done.error());
    if (config.binding_update) {
        for (const auto direction : {ipsec::Direction::kInbound, ipsec::Direction::kOutbound}) {
            if (auto done = out->add_association(config, direction); !done) {
                return std::unexpected(done.error());
            }
        }
    }
    auto engine = ipsec::EspEngine::create(out->spd_, *out->sad_);
    if (!engine) return fail(engine.error().text);
    out->engine_ = std::move(*engine);
    return out;
}

Result<void> Security::add_policies(const Config& config) {
    sa::PolicyOptions options;
    options.protect_return_routability = false;
    options.unprotected = config.lab_unprotected;
    auto entries = sa::mobile_node_policies(config.home_address, config.home_agent, options);
    if (config.lab_unprotected) {
        // Its packets all go by the entry before it, which the database would not accept.
        std::erase_if(entries, [](const ipsec::PolicyEntry& entry) {
            return entry.id == sa::policy_id(sa::TableEntry::kBindingUpdate);
        });
    }
    const auto done = spd_.replace(std::move(entries));
    if (!done) return fail(done.error().text);
    return {};
}

Result<void> Security::open_ledger(const Config& config) {
    if (config.state_file.empty() || !config.binding_update) return {};
    auto ledger = sa::SequenceLedger::open(config.state_file);
    if (!ledger) return fail("state_file " + config.state_file + ": " + ledger.error());
    ledger_ = std::move(*ledger);
    return {};
}

Result<void> Security::add_association(const Config& config, ipsec::Direction direction) {
    const SaPair& pair = *config.binding_update;
    const bool is_outbound = direction == ipsec::Direction::kOutbound;
    const auto algorithm = ipsec::parse_algorithm(pair.algorithm);
    if (!algorithm) return fail("security.bu.algorithm: '" + pair.algorithm + "' is not known");
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
    const auto policy = sa::policy_id(sa::TableEntry::kBindingUpdate);
    parameters.policies = {{policy, std::nullopt}};
    for (const ipsec::PolicyEntry& entry : spd_.entries()) {
        if (entry.id == policy) parameters.selectors = {entry.selectors};
    }
    if (is_outbound && ledger_) {
        parameters.first_sequence = ledger_->begin(pair.spi_out);
        ledger_->note(pair.spi_out, parameters.first_sequence);
        written_ = parameters.first_sequence;
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
    for (const ipsec::SaStatus& status : associations()) {
        if (status.direction != ipsec::Direction::kOutbound ||
            status.highest_sequence < written_ + kWriteEvery) {
            continue;
        }
        ledger_->note(status.spi.value, status.highest_sequence);
        if (auto done = ledger_->commit(); !done) return fail("state_file: " + done.error());
        written_ = status.highest_sequence;
    }
    return {};
}

}  // namespace homeport::mobile_node
