// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/ipsec/sad.hpp"

#include "dataplane/ipsec/sa_store.hpp"

namespace homeport::ipsec {

namespace {

// The addresses of a node, and the networks behind it.
constexpr std::size_t kMaxSelectors = 66;
constexpr std::size_t kMaxPolicies = 66;
constexpr std::uint8_t kMaxOwner = 63;

std::string naming(const SaParameters& p) {
    return std::string(p.direction == Direction::kInbound ? "inbound" : "outbound") + " SA " +
           p.spi.to_string() + ": ";
}

Result<void> check_keys(const SaParameters& p, bool lab_static_gcm) {
    const AlgorithmInfo& algorithm = info(p.algorithm);
    const std::string name(algorithm.name);
    if (p.encryption_key.size() != algorithm.encryption_keying_length()) {
        std::string parts;
        if (algorithm.salt_length != 0) {
            parts = " (key " + std::to_string(algorithm.key_length) + " and salt " +
                    std::to_string(algorithm.salt_length) + ")";
        }
        return fail(naming(p) + "the encryption key has " +
                    std::to_string(p.encryption_key.size()) + " octets, " + name + " takes " +
                    std::to_string(algorithm.encryption_keying_length()) + parts);
    }
    if (p.integrity_key.size() != algorithm.integrity_key_length) {
        return fail(naming(p) + "the integrity key has " + std::to_string(p.integrity_key.size()) +
                    " octets, " + name + " takes " +
                    std::to_string(algorithm.integrity_key_length));
    }
    if (p.static_key && algorithm.is_counter_mode() && !lab_static_gcm) {
        return fail(naming(p) + name +
                    " must not be used with static keys (RFC 4106 section 2): after a restart "
                    "initialization vectors repeat, which gives away plaintext and the "
                    "authentication key; use an algorithm with CBC, or a key exchange, or, in a "
                    "laboratory only, lab_static_gcm");
    }
    return {};
}

Result<void> check_tunnel(const SaParameters& p) {
    if (p.mode == Mode::kTransport) {
        if (p.tunnel_local || p.tunnel_remote) {
            return fail(naming(p) + "transport mode, but tunnel addresses are given");
        }
        return {};
    }
    if (p.direction == Direction::kOutbound && (!p.tunnel_local || !p.tunnel_remote)) {
        return fail(naming(p) + "tunnel mode needs a local and a remote tunnel address");
    }
    if (p.tunnel_local && p.tunnel_remote &&
        family_of(*p.tunnel_local) != family_of(*p.tunnel_remote)) {
        return fail(naming(p) + "the tunnel addresses " + homeport::to_string(*p.tunnel_local) +
                    " and " + homeport::to_string(*p.tunnel_remote) + " are of two families");
    }
    if (p.hop_limit == 0) return fail(naming(p) + "hop limit 0, expected 1 to 255");
    if (p.fixed_dscp > 63) {
        return fail(naming(p) + "DSCP " + std::to_string(p.fixed_dscp) + ", expected 0 to 63");
    }
    return {};
}

Result<void> check_sequence(const SaParameters& p) {
    if (p.first_sequence == 0)
        return fail(naming(p) + "first sequence number 0, expected 1 or more");
    if (!p.esn && p.first_sequence > 0xffff'ffffu) {
        return fail(naming(p) + "first sequence number " + std::to_string(p.first_sequence) +
                    " needs extended sequence numbers");
    }
    if (p.direction == Direction::kOutbound) return {};
    const bool in_range =
        p.replay_window >= kMinReplayWindow && p.replay_window <= kMaxReplayWindow;
    if (p.replay_window != 0 && !in_range) {
        return fail(naming(p) + "replay window " + std::to_string(p.replay_window) +
                    ", expected 64 to 4096, or 0 for none");
    }
    if (p.esn && p.replay_window == 0) {
        return fail(naming(p) +
                    "extended sequence numbers need a replay window (RFC 4303 appendix A2)");
    }
    return {};
}

Result<void> check_selectors(const SaParameters& p) {
    if (p.direction == Direction::kInbound && p.selectors.empty()) {
        return fail(naming(p) + "no selectors; an inbound SA must hold what may come out of it");
    }
    if (p.selectors.size() > kMaxSelectors) {
        return fail(naming(p) + std::to_string(p.selectors.size()) +
                    " sets of selectors, expected at most " + std::to_string(kMaxSelectors));
    }
    for (const Selectors& selectors : p.selectors) {
        if (auto compiled = CompiledSelectors::compile(selectors); !compiled) {
            return fail(naming(p) + compiled.error().text);
        }
    }
    if (p.policies.size() > kMaxPolicies) {
        return fail(naming(p) + "bound to " + std::to_string(p.policies.size()) +
                    " policy entries, expected at most " + std::to_string(kMaxPolicies));
    }
    for (std::size_t i = 0; i < p.policies.size(); ++i) {
        for (std::size_t j = 0; j < i; ++j) {
            if (p.policies[i] == p.policies[j]) {
                return fail(naming(p) + "bound twice to policy entry " +
                            std::to_string(p.policies[i].policy));
            }
        }
    }
    return {};
}

Result<void> check(const SaParameters& p, const SecurityAssociationDatabase::Options& options,
                   const SaStore& store) {
    if (p.spi.value < 256) {
        return fail(naming(p) + "SPIs 0 to 255 are reserved (RFC 4303 section 2.1)");
    }
    if (p.owner > kMaxOwner) {
        return fail(naming(p) + "owner " + std::to_string(p.owner) + ", expected 0 to 63");
    }
    if (auto result = check_keys(p, options.lab_static_gcm); !result) return result;
    if (auto result = check_tunnel(p); !result) return result;
    if (auto result = check_sequence(p); !result) return result;
    if (auto result = check_selectors(p); !result) return result;
    if (p.direction == Direction::kInbound) {
        if (store.find_inbound(p.spi) != nullptr) return fail(naming(p) + "this SPI is in use");
        return {};
    }
    for (const PolicyUse& use : p.policies) {
        PolicyKey key{use.policy, {}};
        if (use.remote) key.remote = RemoteKey::of(*use.remote);
        if (store.find_all_outbound(key).back() != nullptr) {
            return fail(naming(p) + "policy entry " + std::to_string(use.policy) +
                        " has 4 SAs for this remote address already; remove an old one first");
        }
    }
    return {};
}

std::optional<IpAddress> tunnel_remote_of(const SecurityAssociation& sa) {
    if (sa.profile->tunnel_remote_source == AddressSource::kNone) return std::nullopt;
    return sa.tunnel_remote().address(sa.profile->tunnel_family);
}

void fill_counters(const SecurityAssociation& sa, SaStatus& status) {
    const auto error = [&sa](SaCold::Error kind) {
        return sa.cold().errors[kind].load(std::memory_order_relaxed);
    };
    status.packets = sa.packets.load(std::memory_order_relaxed);
    status.bytes = sa.bytes.load(std::memory_order_relaxed);
    status.highest_sequence = sa.sequence.load(std::memory_order_relaxed);
    if (sa.profile->direction == Direction::kOutbound) {
        status.errors.seq_overflow = error(SaCold::kSeqOverflow);
        status.errors.too_big = error(SaCold::kTooBig);
    } else {
        status.errors.replay = error(SaCold::kReplay);
        status.errors.icv = error(SaCold::kIcv);
        status.errors.padding = error(SaCold::kPadding);
        status.errors.selector_mismatch = error(SaCold::kSelectorMismatch);
        status.errors.malformed = error(SaCold::kMalformed);
    }
    const std::uint8_t state = sa.state.load(std::memory_order_relaxed);
    status.soft_expired = (state & SecurityAssociation::kSoftExpired) != 0;
    status.hard_expired = (state & SecurityAssociation::kHardExpired) != 0;
}

}  // namespace

SecurityAssociationDatabase::SecurityAssociationDatabase(const Options& options,
                                                         std::unique_ptr<SaStore> store)
    : options_(options), store_(std::move(store)) {}

SecurityAssociationDatabase::~SecurityAssociationDatabase() = default;

Result<std::unique_ptr<SecurityAssociationDatabase>> SecurityAssociationDatabase::create(
    const Options& options, Reclaimer& reclaimer) {
    constexpr std::uint32_t kLimit = 1u << 24;
    if (options.own_slots == 0 || options.own_slots > kLimit) {
        return fail("SAD: own_slots is " + std::to_string(options.own_slots) +
                    ", expected 1 to 16777216");
    }
    if (options.max_associations == 0 || options.max_associations > kLimit) {
        return fail("SAD: max_associations is " + std::to_string(options.max_associations) +
                    ", expected 1 to 16777216");
    }
    CpuArchitecture architecture = options.architecture;
    auto manager = make_mb_manager(architecture);
    if (!manager) return std::unexpected(manager.error());
    auto store = std::make_unique<SaStore>(options, std::move(*manager), architecture, reclaimer);
    return std::unique_ptr<SecurityAssociationDatabase>(
        new SecurityAssociationDatabase(options, std::move(store)));
}

Result<SaHandle> SecurityAssociationDatabase::add(const SaParameters& parameters) {
    if (auto checked = check(parameters, options_, *store_); !checked) {
        return std::unexpected(checked.error());
    }
    auto handle = store_->add(parameters, generation() + 1);
    if (handle) generation_.fetch_add(1, std::memory_order_acq_rel);
    return handle;
}

bool SecurityAssociationDatabase::remove(SaHandle handle) {
    if (!store_->remove(handle)) return false;
    generation_.fetch_add(1, std::memory_order_acq_rel);
    return true;
}

bool SecurityAssociationDatabase::set_path_mtu(SaHandle handle, std::uint16_t path_mtu) {
    SecurityAssociation* sa = store_->by_handle(handle);
    if (sa == nullptr) return false;
    sa->path_mtu.store(path_mtu, std::memory_order_relaxed);
    return true;
}

std::optional<SaStatus> SecurityAssociationDatabase::status(SaHandle handle) const {
    const SecurityAssociation* sa = store_->by_handle(handle);
    if (sa == nullptr) return std::nullopt;
    const SaProfile& profile = *sa->profile;
    SaStatus status;
    status.direction = profile.direction;
    status.spi = sa->spi;
    status.algorithm = profile.algorithm.algorithm;
    status.mode = profile.mode;
    status.esn = profile.esn;
    status.replay_window = profile.replay_window;
    status.owner = sa->owner;
    status.path_mtu = sa->path_mtu.load(std::memory_order_relaxed);
    if (profile.tunnel_local != AddressKey{}) {
        status.tunnel_local = profile.tunnel_local.address(profile.tunnel_family);
    }
    status.tunnel_remote = tunnel_remote_of(*sa);
    for (const PolicyKey& key : SaStore::policy_keys_of(*sa)) {
        PolicyUse use{key.policy, std::nullopt};
        if (key.remote.family != Family::kNone) {
            use.remote = key.remote.address.address(key.remote.family);
        }
        status.policies.push_back(use);
    }
    for (const ProfileSelectors& entry : profile.selectors) {
        Selectors selectors = entry.selectors;
        if (entry.remote == AddressSource::kSaRemote) {
            selectors.remote = {AddressRange::of(sa->remote.address(sa->remote_family))};
        }
        status.selectors.push_back(std::move(selectors));
    }
    fill_counters(*sa, status);
    return status;
}

std::optional<LifetimeEvent> SecurityAssociationDatabase::look_at_age(SaHandle handle,
                                                                      std::uint64_t now) {
    using Sa = SecurityAssociation;
    SecurityAssociation* sa = store_->by_handle(handle);
    if (sa == nullptr) return std::nullopt;
    const SaProfile& profile = *sa->profile;
    const std::uint32_t age = sa->cold().age(now);
    const auto event = [&](bool hard, LifetimeReason reason) {
        return LifetimeEvent{sa->spi, profile.direction, hard, reason, handle};
    };
    const auto over = [age](std::uint32_t limit) { return limit != 0 && age >= limit; };
    if (over(profile.lifetime.hard_seconds) &&
        (sa->set_state(Sa::kHardExpired | Sa::kHardTold) & Sa::kHardTold) != 0) {
        return event(true, LifetimeReason::kSeconds);
    }
    if (over(profile.lifetime.soft_seconds) &&
        (sa->set_state(Sa::kSoftExpired | Sa::kSoftTold) & Sa::kSoftTold) != 0) {
        return event(false, LifetimeReason::kSeconds);
    }
    if (profile.direction == Direction::kOutbound) {
        const std::uint64_t last = profile.esn ? ~std::uint64_t{0} : 0xffff'ffffu;
        if (sa->sequence.load(std::memory_order_relaxed) >= last - last / 16 &&
            (sa->set_state(Sa::kSoftExpired | Sa::kSoftTold) & Sa::kSoftTold) != 0) {
            return event(false, LifetimeReason::kSequence);
        }
    }
    return std::nullopt;
}

LifetimeLeft SecurityAssociationDatabase::lifetime_left(SaHandle handle, std::uint64_t now) const {
    LifetimeLeft left;
    const SecurityAssociation* sa = store_->by_handle(handle);
    if (sa == nullptr) return left;
    const Lifetime& limit = sa->profile->lifetime;
    const auto rest = [](std::uint64_t end, std::uint64_t used, std::uint64_t& out) {
        if (end != 0) out = end > used ? end - used : 0;
    };
    rest(limit.hard_bytes, sa->bytes.load(std::memory_order_relaxed), left.bytes);
    rest(limit.hard_packets, sa->packets.load(std::memory_order_relaxed), left.packets);
    rest(limit.hard_seconds, sa->cold().age(now), left.seconds);
    return left;
}

std::optional<SaHandle> SecurityAssociationDatabase::inbound_handle(Spi spi) const {
    const SecurityAssociation* sa = store_->find_inbound(spi);
    if (sa == nullptr) return std::nullopt;
    return sa->handle();
}

std::vector<SaHandle> SecurityAssociationDatabase::handles() const {
    return store_->handles();
}

std::size_t SecurityAssociationDatabase::size() const {
    return store_->size();
}

SecurityAssociation* SecurityAssociationDatabase::find_inbound(Spi spi) const {
    return store_->find_inbound(spi);
}

SecurityAssociation* SecurityAssociationDatabase::find_outbound(
    PolicyId policy, const std::optional<IpAddress>& remote) const {
    PolicyKey key{policy, {}};
    if (remote) key.remote = RemoteKey::of(*remote);
    return store_->find_outbound(key, key.hash());
}

CpuArchitecture SecurityAssociationDatabase::architecture() const {
    return store_->architecture();
}

}  // namespace homeport::ipsec
