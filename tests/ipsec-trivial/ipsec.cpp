// SPDX-License-Identifier: BSD-3-Clause
#include "tests/ipsec-trivial/ipsec.hpp"

#include <algorithm>

#include "dataplane/base/byte_order.hpp"
#include "dataplane/base/checksum.hpp"

namespace homeport::trivial {

using ipsec::Direction;
using ipsec::Verdict;

namespace {

constexpr std::uint8_t kEsp = 50;
constexpr std::uint8_t kInnerIpv4 = 4;
constexpr std::uint8_t kInnerIpv6 = 41;
constexpr std::uint8_t kDummy = 59;
constexpr std::uint8_t kHopLimit = 64;
constexpr std::uint32_t kUsualHeadroom = 128;

bool is_ipv4(View packet) {
    return packet[0] >> 4 == 4;
}

std::uint8_t class_of(View packet) {
    if (is_ipv4(packet)) return packet[1];
    return static_cast<std::uint8_t>(load_be16(packet.data()) >> 4);
}

/// RFC 4301 section 5.1.2: what arrives congested outside, and can say so, is congested inside.
void carry_congestion(std::uint8_t outer_class, Bytes& inner) {
    if ((outer_class & 3) != 3 || (class_of(inner) & 3) == 0) return;
    if (is_ipv4(inner)) {
        inner[1] |= 3;
        const std::size_t header = std::size_t{inner[0] & 15u} * 4;
        store_be16(inner.data() + 10, 0);
        store_be16(inner.data() + 10, internet_checksum(View(inner).first(header)));
    } else {
        inner[1] |= 3 << 4;
    }
}

/// Makes the length field, and the checksum of IPv4, right again.
void set_lengths(Bytes& packet) {
    if (is_ipv4(packet)) {
        const std::size_t header = std::size_t{packet[0] & 15u} * 4;
        store_be16(packet.data() + 2, static_cast<std::uint16_t>(packet.size()));
        store_be16(packet.data() + 10, 0);
        store_be16(packet.data() + 10, internet_checksum(View(packet).first(header)));
    } else {
        store_be16(packet.data() + 4, static_cast<std::uint16_t>(packet.size() - 40));
    }
}

/// Nothing of the old packet, and nothing beside the new one, survives in the buffer.
bool put_back(const Bytes& result, ipsec::Packet& packet) {
    const std::uint32_t room = packet.headroom + packet.length + packet.tailroom;
    if (result.size() > room) return false;
    const auto free = static_cast<std::uint32_t>(room - result.size());
    std::uint8_t* const start = packet.data - packet.headroom;
    std::fill_n(start, room, std::uint8_t{0xcc});
    packet.headroom = free >= 2 * kUsualHeadroom ? kUsualHeadroom + 1 : free / 2;
    packet.data = start + packet.headroom;
    packet.length = static_cast<std::uint32_t>(result.size());
    packet.tailroom = free - packet.headroom;
    std::ranges::copy(result, packet.data);
    return true;
}

Bytes joined(View front, View back) {
    Bytes bytes(front.begin(), front.end());
    bytes.insert(bytes.end(), back.begin(), back.end());
    return bytes;
}

}  // namespace

struct Ipsec::Sa {
    Association what;
    Keys keys;
    Replay replay;
    std::uint64_t sequence;  ///< outbound: the next number
    std::uint64_t generation;
};

Ipsec::Ipsec() = default;
Ipsec::~Ipsec() = default;

// ------------------------------------------------------------------------------------ management

void Ipsec::replace_policies(std::vector<Policy> policies) {
    policies_ = std::move(policies);
    ++generation_;
}

bool Ipsec::add(const Association& association) {
    const auto transform = transform_named(association.algorithm);
    if (!transform || association.key.size() != transform->key + transform->salt ||
        association.mac_key.size() != transform->mac_key) {
        return false;
    }
    if (!association.uses.empty()) {
        remove(association.direction, association.spi, association.uses[0]);
    }
    const auto salt = association.key.end() - static_cast<std::ptrdiff_t>(transform->salt);
    auto sa = std::make_unique<Sa>(Sa{
        association,
        Keys{*transform, Bytes(association.key.begin(), salt), Bytes(salt, association.key.end()),
             association.mac_key, association.extended_sequence},
        Replay(association.window, association.first_sequence), association.first_sequence,
        ++generation_});
    if (association.direction == Direction::kInbound) {
        inbound_[association.spi] = std::move(sa);
    } else {
        outbound_.push_front(std::move(sa));
    }
    return true;
}

bool Ipsec::remove(Direction direction, std::uint32_t spi, const Use& first_use) {
    const std::size_t gone = direction == Direction::kInbound
                                 ? inbound_.erase(spi)
                                 : std::erase_if(outbound_, [&](const std::unique_ptr<Sa>& sa) {
                                       return sa->what.spi == spi && !sa->what.uses.empty() &&
                                              sa->what.uses[0].peer == first_use.peer;
                                   });
    if (gone != 0) ++generation_;
    return gone != 0;
}

void Ipsec::set_path_mtu(const IpAddress& peer, std::uint16_t path_mtu) {
    for (const auto& sa : outbound_) {
        const bool is_its =
            std::ranges::any_of(sa->what.uses, [&](const Use& use) { return use.peer == peer; });
        if (is_its || sa->what.tunnel_remote == peer) sa->what.path_mtu = path_mtu;
    }
}

// ---------------------------------------------------------------------------------------- lookup

const Policy* Ipsec::policy_for(const Headers& packet, Direction direction) const {
    for (const Policy& policy : policies_) {
        if (takes(policy.selectors, packet, direction)) return &policy;
    }
    return nullptr;
}

Ipsec::Sa* Ipsec::outbound_sa(const Use& use) const {
    for (const auto& sa : outbound_) {
        if (std::ranges::find(sa->what.uses, use) != sa->what.uses.end()) return sa.get();
    }
    return nullptr;
}

Ipsec::Sa* Ipsec::outbound_sa(const Headers& packet) const {
    const Policy* const policy = policy_for(packet, Direction::kOutbound);
    if (policy == nullptr || policy->action != ipsec::Action::kProtect) return nullptr;
    Use use{policy->id, {}};
    if (policy->per_remote) use.peer = packet.destination;
    return outbound_sa(use);
}

Verdict Ipsec::policy_verdict(const Headers& packet) const {
    const Policy* const policy = policy_for(packet, Direction::kInbound);
    if (policy == nullptr || policy->action == ipsec::Action::kDiscard) return Verdict::kInDiscard;
    return policy->action == ipsec::Action::kBypass ? Verdict::kInBypass : Verdict::kInPolicy;
}

// -------------------------------------------------------------------------------------- outbound

void Ipsec::outbound(std::span<ipsec::Packet* const> packets, std::span<Verdict> verdicts) {
    for (std::size_t i = 0; i < packets.size(); ++i) verdicts[i] = seal_one(*packets[i]);
}

/// RFC 4301 section 5.1.2: outer header, then ESP.
Bytes Ipsec::tunnel_packet(const Sa& sa, const Bytes& inner, const Headers& headers,
                           std::uint64_t sequence) {
    const View whole = View(inner).first(headers.length);
    const Bytes esp =
        seal(sa.keys, sa.what.spi, sequence, whole, is_ipv4(inner) ? kInnerIpv4 : kInnerIpv6);
    Bytes outer;
    if (const auto* local = std::get_if<Ipv6Address>(&*sa.what.tunnel_local)) {
        outer.resize(40);
        store_be32(outer.data(), 6u << 28 | std::uint32_t{class_of(inner)} << 20);
        outer[6] = kEsp;
        outer[7] = kHopLimit;
        local->store(outer.data() + 8);
        std::get<Ipv6Address>(*sa.what.tunnel_remote).store(outer.data() + 24);
    } else {
        outer.resize(20);
        outer[0] = 0x45;
        outer[1] = class_of(inner);
        const bool whole_only = !is_ipv4(inner) || (inner[6] & 0x40) != 0;
        store_be16(outer.data() + 4, whole_only ? std::uint16_t{0} : identification_++);
        store_be16(outer.data() + 6, whole_only ? 0x4000 : 0);
        outer[8] = kHopLimit;
        outer[9] = kEsp;
        std::get<Ipv4Address>(*sa.what.tunnel_local).store(outer.data() + 12);
        std::get<Ipv4Address>(*sa.what.tunnel_remote).store(outer.data() + 16);
    }
    Bytes packet = joined(outer, esp);
    set_lengths(packet);
    return packet;
}

Verdict Ipsec::seal_one(ipsec::Packet& packet) {
    const Bytes copy(packet.data, packet.data + packet.length);
    const auto headers = read_headers(copy);
    if (!headers) return Verdict::kOutDiscard;
    const Policy* const policy = policy_for(*headers, Direction::kOutbound);
    if (policy == nullptr || policy->action == ipsec::Action::kDiscard) {
        return Verdict::kOutDiscard;
    }
    if (policy->action == ipsec::Action::kBypass) {
        packet.set_length(static_cast<std::uint32_t>(headers->length));
        return Verdict::kOutBypass;  // and stays where it is
    }
    Sa* const sa = outbound_sa(*headers);
    if (sa == nullptr) return Verdict::kOutNoSa;
    if (!sa->what.tunnel && headers->fragment) return Verdict::kOutDiscard;
    const std::size_t before =
        sa->what.tunnel ? (sa->what.tunnel_local->index() == 0 ? 40u : 20u) : headers->insert;
    const std::size_t payload = headers->length - (sa->what.tunnel ? 0 : headers->insert);
    const std::size_t total = before + sealed_size(sa->keys.transform, payload);
    const bool ipv6_outside = sa->what.tunnel ? before == 40 : !is_ipv4(copy);
    const std::size_t longest = ipv6_outside ? 40 + 65535 : 65535;
    const bool may_fragment = is_ipv4(copy) && (copy[6] & 0x40) == 0;
    if ((!may_fragment && sa->what.path_mtu != 0 && total > sa->what.path_mtu) || total > longest ||
        total > packet.headroom + packet.length + packet.tailroom) {
        return Verdict::kOutTooBig;
    }
    const std::uint64_t last = sa->what.extended_sequence ? ~std::uint64_t{0} : 0xffff'ffffu;
    if (sa->sequence > last || sa->sequence == 0) return Verdict::kOutSeqOverflow;
    const std::uint64_t sequence = sa->sequence++;
    Bytes result;
    if (sa->what.tunnel) {
        result = tunnel_packet(*sa, copy, *headers, sequence);
    } else {
        const View whole = View(copy).first(headers->length);
        result = joined(whole.first(headers->insert),
                        seal(sa->keys, sa->what.spi, sequence, whole.subspan(headers->insert),
                             copy[headers->insert_name]));
        result[headers->insert_name] = kEsp;
        set_lengths(result);
    }
    return put_back(result, packet) ? Verdict::kOutProtect : Verdict::kOutTooBig;
}

// --------------------------------------------------------------------------------------- inbound

void Ipsec::inbound(std::span<ipsec::Packet* const> packets, std::span<Verdict> verdicts) {
    for (std::size_t i = 0; i < packets.size(); ++i) verdicts[i] = open_one(*packets[i]);
}

Verdict Ipsec::open_one(ipsec::Packet& packet) {
    const Bytes copy(packet.data, packet.data + packet.length);
    const auto headers = read_headers(copy);
    if (!headers) return Verdict::kInMalformed;
    if (headers->protocol != kEsp) {
        const Verdict verdict = policy_verdict(*headers);
        packet.set_length(static_cast<std::uint32_t>(headers->length));
        return verdict;
    }
    if (headers->fragment) return Verdict::kInFragment;
    const View esp = View(copy).subspan(headers->upper, headers->length - headers->upper);
    if (esp.size() < 8) return Verdict::kInMalformed;
    const auto found = inbound_.find(load_be32(esp.data()));
    if (found == inbound_.end()) return Verdict::kInNoSa;
    Sa& sa = *found->second;
    const std::uint32_t low = load_be32(esp.data() + 4);
    const auto sequence = sa.what.extended_sequence ? sa.replay.extended(low) : low;
    if (!sequence || !sa.replay.fresh(*sequence)) return Verdict::kInReplay;
    OpenError error{};
    auto opened = open(sa.keys, *sequence, esp, error);
    if (!opened && error == OpenError::kLength) return Verdict::kInMalformed;
    if (!opened && error == OpenError::kIcv) return Verdict::kInIcv;
    sa.replay.take(*sequence);
    if (!opened) return Verdict::kInPadding;
    if (opened->next_header == kDummy) return Verdict::kInDummy;

    Bytes result;
    if (sa.what.tunnel) {
        result = std::move(opened->payload);
        const bool right_family =
            !result.empty() && ((opened->next_header == kInnerIpv4 && result[0] >> 4 == 4) ||
                                (opened->next_header == kInnerIpv6 && result[0] >> 4 == 6));
        if (!right_family) return Verdict::kInMalformed;
    } else {
        result = joined(View(copy).first(headers->upper), opened->payload);
        result[headers->upper_name] = opened->next_header;
        set_lengths(result);
    }
    const auto inner = read_headers(result);
    if (!inner) return Verdict::kInMalformed;
    result.resize(inner->length);  // behind it: TFC padding
    if (!std::ranges::any_of(sa.what.selectors, [&](const ipsec::Selectors& selectors) {
            return takes(selectors, *inner, Direction::kInbound);
        })) {
        return Verdict::kInSelectorMismatch;
    }
    if (sa.what.tunnel) carry_congestion(class_of(copy), result);
    return put_back(result, packet) ? Verdict::kInOk : Verdict::kInMalformed;
}

Verdict Ipsec::inbound_policy_check(const ipsec::Packet& packet) const {
    const auto headers = read_headers(packet.bytes());
    return headers ? policy_verdict(*headers) : Verdict::kInMalformed;
}

std::uint32_t Ipsec::mtu_for(const ipsec::Packet& packet) const {
    const auto headers = read_headers(packet.bytes());
    const Sa* const sa = headers ? outbound_sa(*headers) : nullptr;
    if (sa == nullptr || sa->what.path_mtu == 0) return 0;
    const std::size_t before =
        sa->what.tunnel ? (sa->what.tunnel_local->index() == 0 ? 40u : 20u) : headers->insert;
    // The largest payload that fits, by trying.
    std::size_t payload = sa->what.path_mtu;
    while (payload != 0 && before + sealed_size(sa->keys.transform, payload) > sa->what.path_mtu) {
        --payload;
    }
    return static_cast<std::uint32_t>(payload == 0 ? 0 : payload + (sa->what.tunnel ? 0 : before));
}

// --------------------------------------------------------------------------------------- queries

ipsec::SpiAnswers Ipsec::spi_for_policy(ipsec::PolicyId policy,
                                        const std::optional<IpAddress>& remote) const {
    ++questions_;
    ipsec::SpiAnswers answers;
    for (const auto& sa : outbound_) {
        if (std::ranges::find(sa->what.uses, Use{policy, remote}) == sa->what.uses.end()) continue;
        if (answers.count == ipsec::SpiAnswers::kCapacity) break;
        answers.answers[answers.count++] = {
            ipsec::Spi{sa->what.spi},
            sa->what.tunnel ? ipsec::Mode::kTunnel : ipsec::Mode::kTransport, sa->generation};
    }
    return answers;
}

ipsec::SpiAnswers Ipsec::spi_for_policy(const ipsec::SelectorTuple& tuple) const {
    Headers packet;
    packet.source = tuple.local;
    packet.destination = tuple.remote;
    packet.protocol = tuple.protocol;
    packet.source_value = tuple.local_value;
    packet.destination_value = tuple.remote_value;
    const Policy* const policy = policy_for(packet, Direction::kOutbound);
    if (policy == nullptr || policy->action != ipsec::Action::kProtect) return {};
    return spi_for_policy(
        policy->id, policy->per_remote ? std::optional(tuple.remote) : std::optional<IpAddress>());
}

std::optional<ipsec::SelectorAnswer> Ipsec::selectors_for_spi(ipsec::Spi spi) const {
    const auto found = inbound_.find(spi.value);
    if (found == inbound_.end() || found->second->what.selectors.empty()) return std::nullopt;
    const Association& sa = found->second->what;
    const ipsec::Selectors& selectors = sa.selectors.front();
    ipsec::SelectorAnswer answer;
    answer.policy = sa.uses.empty() ? ipsec::kNominalDiscard : sa.uses[0].policy;
    answer.mode = sa.tunnel ? ipsec::Mode::kTunnel : ipsec::Mode::kTransport;
    if (selectors.local.size() == 1) answer.local = selectors.local[0];
    if (selectors.remote.size() == 1) answer.remote = selectors.remote[0];
    answer.protocol = selectors.protocol;
    answer.remote_kind = selectors.remote_value.kind;
    answer.remote_value_count =
        std::min(selectors.remote_value.ranges.size(), answer.remote_values.size());
    std::copy_n(selectors.remote_value.ranges.begin(), answer.remote_value_count,
                answer.remote_values.begin());
    return answer;
}

}  // namespace homeport::trivial
