// SPDX-License-Identifier: BSD-3-Clause
#include "tools/mobile-node/mip4/security.hpp"

#include "controlplane/ipsec/mobility_key.hpp"
#include "controlplane/ipsec/sa_keys.hpp"
#include "dataplane/base/ip_header.hpp"
#include "dataplane/ipsec/algorithm.hpp"

namespace homeport::mobile_node {

namespace {

constexpr ipsec::PolicyId kPolicy = 1;
constexpr std::uint32_t kMostAssociations = 4;
constexpr unsigned kEspHeader = 8;
constexpr unsigned kEspTrailer = 2;
// The ledger gives up a margin of numbers at each start, so it may lag behind by less than that.
constexpr std::uint64_t kWriteEvery = 1024;
static_assert(kWriteEvery < sa::SequenceLedger::kMargin);

}  // namespace

Result<mip4::RegistrationClientConfig> registration_of(const Mip4HomeAgent& config) {
    mip4::RegistrationClientConfig out;
    out.home_address = config.home_address;
    out.home_agent = config.home_agent;
    out.nai = config.nai;
    out.association.spi = config.spi;
    out.association.algorithm = config.algorithm;
    out.association.replay = config.replay;
    auto key = sa::load_mobility_key(config.key_file);
    if (!key) return fail(key.error().text);
    out.association.key.assign(key->view().begin(), key->view().end());
    out.lifetime = config.lifetime;
    out.reverse_tunnel = config.reverse_tunnel;
    out.gre = config.encapsulation == mip4::Encapsulation::kGre;
    out.minimal = config.encapsulation == mip4::Encapsulation::kMinimal;
    out.udp_tunnel = config.udp != Mip4Udp::kOff;
    out.force_udp = config.udp == Mip4Udp::kForced;
    return out;
}

Mip4Security::Mip4Security() : spd_(reclaimer_) {}

Result<std::unique_ptr<Mip4Security>> Mip4Security::create(const Mip4Vpn& vpn,
                                                           const Ipv4Address& local,
                                                           bool lab_static_gcm,
                                                           const std::string& state_file) {
    std::unique_ptr<Mip4Security> out(new Mip4Security());
    out->vpn_ = vpn;
    ipsec::SecurityAssociationDatabase::Options options;
    options.own_slots = 16;
    options.max_associations = kMostAssociations;
    options.lab_static_gcm = lab_static_gcm;
    auto sad = ipsec::SecurityAssociationDatabase::create(options, out->reclaimer_);
    if (!sad) return fail(sad.error().text);
    out->sad_ = std::move(*sad);
    if (!state_file.empty()) {
        auto ledger = sa::SequenceLedger::open(state_file);
        if (!ledger) return fail("state_file " + state_file + ": " + ledger.error());
        out->ledger_ = std::move(*ledger);
    }
    if (auto done = out->put_policy(local); !done) return std::unexpected(done.error());
    for (const auto direction : {ipsec::Direction::kInbound, ipsec::Direction::kOutbound}) {
        if (auto done = out->add(direction, local); !done) {
            return fail("mobile_ipv4.vpn.sa: " + done.error().text);
        }
    }
    auto engine = ipsec::EspEngine::create(out->spd_, *out->sad_);
    if (!engine) return fail(engine.error().text);
    out->engine_ = std::move(*engine);
    return out;
}

Result<void> Mip4Security::put_policy(const Ipv4Address& local) {
    ipsec::PolicyEntry entry;
    entry.id = kPolicy;
    entry.name = "VPN";
    entry.selectors.local = {ipsec::AddressRange::of(IpAddress(vpn_.inner_address))};
    entry.selectors.remote = {ipsec::AddressRange::of(Ipv4Prefix{})};
    entry.action = ipsec::Action::kProtect;
    entry.protect.mode = ipsec::Mode::kTunnel;
    entry.protect.tunnel_local = local;
    entry.protect.tunnel_remote = vpn_.gateway;
    const auto done = spd_.replace({entry});
    if (!done) return fail(done.error().text);
    return {};
}

Result<void> Mip4Security::add(ipsec::Direction direction, const Ipv4Address& local) {
    const bool outbound = direction == ipsec::Direction::kOutbound;
    const auto algorithm = ipsec::parse_algorithm(vpn_.sa.algorithm);
    if (!algorithm) return fail("algorithm '" + vpn_.sa.algorithm + "' is not known");
    auto keys = sa::load_sa_keys(outbound ? vpn_.sa.key_file_out : vpn_.sa.key_file_in, *algorithm);
    if (!keys) return fail(keys.error().text);
    ipsec::SaParameters parameters;
    parameters.direction = direction;
    parameters.spi = ipsec::Spi{outbound ? vpn_.sa.spi_out : vpn_.sa.spi_in};
    parameters.algorithm = *algorithm;
    parameters.encryption_key = std::move(keys->encryption);
    parameters.integrity_key = std::move(keys->integrity);
    parameters.mode = ipsec::Mode::kTunnel;
    // S2.37: x-HoA, so no move outside changes the SA.
    parameters.tunnel_local = local;
    parameters.tunnel_remote = vpn_.gateway;
    parameters.esn = vpn_.sa.extended_sequence;
    parameters.replay_window = outbound ? std::uint16_t{0} : vpn_.sa.replay_window;
    parameters.static_key = true;
    parameters.policies.push_back({kPolicy, std::nullopt});
    parameters.selectors.push_back(spd_.entries().front().selectors);
    if (outbound && ledger_) {
        parameters.first_sequence = ledger_->begin(vpn_.sa.spi_out);
        ledger_->note(vpn_.sa.spi_out, parameters.first_sequence);
        written_ = parameters.first_sequence;
        if (auto done = ledger_->commit(); !done) return fail("state_file: " + done.error());
    }
    if (auto added = sad_->add(parameters); !added) return fail(added.error().text);
    return {};
}

unsigned Mip4Security::largest_inside(unsigned room) const {
    const auto algorithm = ipsec::parse_algorithm(vpn_.sa.algorithm);
    const ipsec::AlgorithmInfo& cipher = ipsec::info(*algorithm);
    const unsigned around = static_cast<unsigned>(sizeof(Ipv4Header)) + kEspHeader +
                            cipher.iv_length + cipher.icv_length;
    if (room < around + cipher.block) return 0;
    return (room - around) / cipher.block * cipher.block - kEspTrailer;
}

unsigned Mip4Security::overhead() const {
    const ipsec::AlgorithmInfo& cipher = ipsec::info(*ipsec::parse_algorithm(vpn_.sa.algorithm));
    return static_cast<unsigned>(sizeof(Ipv4Header)) + kEspHeader + cipher.iv_length +
           cipher.block - 1 + kEspTrailer + cipher.icv_length;
}

std::vector<ipsec::SaStatus> Mip4Security::associations() const {
    std::vector<ipsec::SaStatus> out;
    for (const auto handle : sad_->handles()) {
        if (auto status = sad_->status(handle)) out.push_back(std::move(*status));
    }
    return out;
}

Result<void> Mip4Security::note_sequences() {
    if (!ledger_) return {};
    for (const ipsec::SaStatus& status : associations()) {
        if (status.direction != ipsec::Direction::kOutbound ||
            status.highest_sequence < written_ + kWriteEvery) {
            continue;
        }
        ledger_->note(status.spi.value, status.highest_sequence);
        written_ = status.highest_sequence;
        if (auto done = ledger_->commit(); !done) return fail("state_file: " + done.error());
    }
    return {};
}

}  // namespace homeport::mobile_node
