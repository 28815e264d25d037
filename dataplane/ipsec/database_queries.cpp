// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/ipsec/database_queries.hpp"

#include <algorithm>

#include "dataplane/ipsec/compiled_policies.hpp"
#include "dataplane/ipsec/sa_store.hpp"

namespace homeport::ipsec {

namespace {

SpiAnswers answers_for(const SecurityAssociationDatabase& sad, const PolicyKey& key) {
    SpiAnswers result;
    for (const SecurityAssociation* sa : sad.store().find_all_outbound(key)) {
        if (sa == nullptr) break;
        // The SA knows the lower half; the whole number is the last one that ends in it. An SA that
        // is just being added has a number that the database will have in a moment.
        const std::uint64_t next = sad.generation() + 1;
        const auto ago = static_cast<std::uint32_t>(next) - sa->cold().generation;
        result.answers[result.count++] = {sa->spi, sa->profile->mode, next - ago};
    }
    return result;
}

/// The headers of a packet like `tuple`, as far as policies look at them.
HeaderInfo headers_of(const SelectorTuple& tuple) {
    HeaderInfo packet;
    packet.family = family_of(tuple.local);
    packet.source = AddressKey::of(tuple.local);
    packet.destination = AddressKey::of(tuple.remote);
    packet.protocol = tuple.protocol;
    packet.protocol_known = true;
    packet.values_known = has_values(tuple.protocol);
    packet.source_value = tuple.local_value;
    packet.destination_value =
        is_directional(tuple.protocol) ? tuple.local_value : tuple.remote_value;
    return packet;
}

}  // namespace

SpiAnswers DatabaseQueries::spi_for_policy(PolicyId policy,
                                           const std::optional<IpAddress>& remote) const {
    PolicyKey key{policy, {}};
    if (remote) key.remote = RemoteKey::of(*remote);
    return answers_for(sad_, key);
}

SpiAnswers DatabaseQueries::spi_for_policy(const SelectorTuple& tuple) const {
    const HeaderInfo packet = headers_of(tuple);
    const CompiledPolicy& policy = spd_.compiled().find(packet, Direction::kOutbound);
    if (policy.action != Action::kProtect) return {};
    PolicyKey key{policy.id, {}};
    if (policy.populate_remote) key.remote = {packet.destination, packet.family};
    return answers_for(sad_, key);
}

std::optional<SelectorAnswer> DatabaseQueries::selectors_for_spi(Spi spi) const {
    const SecurityAssociation* sa = sad_.find_inbound(spi);
    if (sa == nullptr || sa->profile->selectors.empty()) return std::nullopt;
    const ProfileSelectors& entry = sa->profile->selectors.front();
    const CompiledSelectors& compiled = entry.compiled;
    const Family family = compiled.ipv6 ? Family::kIpv6 : Family::kIpv4;
    SelectorAnswer answer;
    answer.policy = sa->policy;
    answer.mode = sa->profile->mode;
    const auto single = [family](const std::vector<KeyRange>& ranges) {
        std::optional<AddressRange> range;
        if (ranges.size() == 1) {
            range = AddressRange{ranges[0].first.address(family), ranges[0].last.address(family)};
        }
        return range;
    };
    answer.local = single(compiled.local);
    answer.remote = entry.remote == AddressSource::kSaRemote
                        ? AddressRange::of(sa->remote.address(sa->remote_family))
                        : single(compiled.remote);
    answer.protocol = compiled.protocol;
    answer.remote_kind = compiled.remote_value.kind;
    const auto& values = compiled.remote_value.ranges;
    answer.remote_value_count = std::min(values.size(), answer.remote_values.size());
    std::copy_n(values.begin(), answer.remote_value_count, answer.remote_values.begin());
    return answer;
}

void DatabaseQueries::selectors_for_spi(std::span<const Spi> spis,
                                        std::optional<Ipv6Address>* remotes) const {
    constexpr std::size_t kMost = 64;
    std::array<const SecurityAssociation*, kMost> associations;
    const SaStore& store = sad_.store();
    const std::size_t count = std::min(spis.size(), kMost);
    for (std::size_t i = 0; i < count; ++i) store.prefetch_inbound(spis[i]);
    for (std::size_t i = 0; i < count; ++i) {
        associations[i] = store.find_inbound(spis[i]);
        // For writing: it is soon opened with.
        if (associations[i] != nullptr) __builtin_prefetch(associations[i], 1);
    }
    for (std::size_t i = 0; i < count; ++i) {
        remotes[i].reset();
        const SecurityAssociation* sa = associations[i];
        if (sa == nullptr || sa->profile->mode != Mode::kTunnel) continue;
        const auto& selectors = sa->profile->selectors;
        if (selectors.empty() || !selectors.front().compiled.ipv6) continue;
        AddressKey remote = sa->remote;
        if (selectors.front().remote != AddressSource::kSaRemote) {
            const auto& ranges = selectors.front().compiled.remote;
            if (ranges.size() != 1 || ranges[0].first != ranges[0].last) continue;
            remote = ranges[0].first;
        }
        Ipv6Address address;
        store_be64(address.bytes.data(), remote.high);
        store_be64(address.bytes.data() + 8, remote.low);
        remotes[i] = address;
    }
}

}  // namespace homeport::ipsec
