// SPDX-License-Identifier: BSD-3-Clause
// Outbound processing, RFC 4301 section 5.1 and RFC 4303 section 3.3.
#include <algorithm>
#include <cstring>

#include "dataplane/base/checksum.hpp"
#include "dataplane/base/ip_header.hpp"
#include "dataplane/ipsec/engine_state.hpp"

namespace homeport::ipsec {

namespace {

constexpr std::uint32_t kEspHeader = 8;
constexpr unsigned kClassShift = 52;  // of the traffic class in a header's first eight octets
constexpr unsigned kEcnMask = 3;
constexpr std::uint32_t kMaxIpv4Length = 65535;
constexpr std::uint32_t kMaxIpv6Length = 65535 + sizeof(Ipv6Header);

/// Where everything goes.
struct Layout {
    std::uint32_t outer = 0;    ///< octets of headers before ESP in the sealed packet
    std::uint32_t start = 0;    ///< offset in the unsealed packet where the payload begins
    std::uint32_t payload = 0;  ///< octets of payload
    std::uint32_t padding = 0;
    std::uint32_t total = 0;  ///< octets of the sealed packet
    std::uint8_t next_header = 0;
};

Layout layout_of(const SaProfile& profile, const HeaderInfo& headers, const Packet& packet) {
    const AlgorithmInfo& algorithm = profile.algorithm;
    Layout layout;
    if (profile.mode == Mode::kTunnel) {
        const bool v6_outer = profile.tunnel_family == Family::kIpv6;
        layout.outer = v6_outer ? sizeof(Ipv6Header) : sizeof(Ipv4Header);
        layout.next_header =
            number(headers.family == Family::kIpv6 ? IpProtocol::kIpv6 : IpProtocol::kIpv4);
    } else {
        layout.outer = layout.start = headers.insert_offset;
        layout.next_header = packet.data[headers.insert_name_offset];
    }
    layout.payload = headers.ip_length - layout.start;
    const std::uint32_t block = algorithm.block;  // a power of two
    layout.padding = (0u - (layout.payload + 2)) & (block - 1);
    layout.total = layout.outer + kEspHeader + algorithm.iv_length + layout.payload +
                   layout.padding + 2 + algorithm.icv_length;
    return layout;
}

bool fits(const SecurityAssociation& sa, const HeaderInfo& headers, const Packet& packet,
          const Layout& layout) {
    const SaProfile& profile = *sa.profile;
    const Family outer = profile.mode == Mode::kTunnel ? profile.tunnel_family : headers.family;
    const std::uint32_t longest = outer == Family::kIpv6 ? kMaxIpv6Length : kMaxIpv4Length;
    // RFC 4301 section 8.2.1: what may be fragmented is, here behind encryption.
    const bool may_fragment = headers.family == Family::kIpv4 &&
                              !reinterpret_cast<const Ipv4Header*>(packet.data)->dont_fragment();
    const std::uint16_t path_mtu =
        may_fragment ? std::uint16_t{0} : sa.path_mtu.load(std::memory_order_relaxed);
    const std::uint32_t before =
        layout.outer - layout.start + kEspHeader + profile.algorithm.iv_length;
    const std::uint32_t behind = layout.padding + 2 + profile.algorithm.icv_length;
    return layout.total <= longest && (path_mtu == 0 || layout.total <= path_mtu) &&
           before <= packet.headroom && behind <= packet.tailroom;
}

/// At most three pad octets, then pad length and next header, in one store; what it writes beyond
/// them is the place of the ICV.
void write_short_trailer(std::uint8_t* at, std::uint32_t padding, std::uint8_t next_header) {
    static constexpr std::uint64_t kShort[4] = {0, 0x01'01, 0x02'02'01, 0x03'03'02'01};
    const std::uint64_t octets = kShort[padding] | std::uint64_t{next_header} << (8 * padding + 8);
    std::memcpy(at, &octets, sizeof octets);
}

/// Padding 1, 2, 3, ..., pad length and next header (RFC 4303 section 2.4).
void write_trailer(std::uint8_t* at, std::uint32_t padding, std::uint8_t next_header) {
    if (padding <= 3) {
        write_short_trailer(at, padding, next_header);
        return;
    }
    static constexpr std::uint8_t kPadding[16] = {1, 2,  3,  4,  5,  6,  7,  8,
                                                  9, 10, 11, 12, 13, 14, 15, 16};
    std::memcpy(at, kPadding, sizeof kPadding);
    at[padding] = static_cast<std::uint8_t>(padding);
    at[padding + 1] = next_header;
}

std::uint8_t traffic_class_of(const std::uint8_t* inner, Family family) {
    if (family == Family::kIpv4) return inner[1];
    return reinterpret_cast<const Ipv6Header*>(inner)->traffic_class();
}

void write_ipv6_outer(std::uint8_t* at, const SecurityAssociation& sa, std::uint8_t traffic_class,
                      std::uint32_t total) {
    const SaProfile& profile = *sa.profile;
    const AddressKey remote = sa.tunnel_remote();
    store_be32(at, 6u << 28 | std::uint32_t{traffic_class} << 20);
    store_be32(at + 4, (total - static_cast<std::uint32_t>(sizeof(Ipv6Header))) << 16 |
                           std::uint32_t{number(IpProtocol::kEsp)} << 8 | profile.hop_limit);
    store_be64(at + 8, profile.tunnel_local.high);
    store_be64(at + 16, profile.tunnel_local.low);
    store_be64(at + 24, remote.high);
    store_be64(at + 32, remote.low);
}

bool outer_dont_fragment(DontFragment rule, const std::uint8_t* inner, Family family) {
    if (rule != DontFragment::kCopy) return rule == DontFragment::kSet;
    return family == Family::kIpv6 || reinterpret_cast<const Ipv4Header*>(inner)->dont_fragment();
}

void write_ipv4_outer(std::uint8_t* at, const SecurityAssociation& sa, std::uint8_t traffic_class,
                      std::uint32_t total, bool dont_fragment, std::uint16_t& next_id) {
    const SaProfile& profile = *sa.profile;
    at[0] = 0x45;
    at[1] = traffic_class;
    store_be16(at + 2, static_cast<std::uint16_t>(total));
    // RFC 6864: only a packet that may be fragmented needs an identification of its own.
    store_be16(at + 4, dont_fragment ? std::uint16_t{0} : next_id++);
    store_be16(at + 6, dont_fragment ? 0x4000 : 0);
    at[8] = profile.hop_limit;
    at[9] = number(IpProtocol::kEsp);
    store_be16(at + 10, 0);
    store_be32(at + 12, static_cast<std::uint32_t>(profile.tunnel_local.low));
    store_be32(at + 16, static_cast<std::uint32_t>(sa.tunnel_remote().low));
    store_be16(at + 10, internet_checksum({at, sizeof(Ipv4Header)}));
}

/// The lengths and the name of the header that ESP was put behind.
void patch_transport_headers(std::uint8_t* at, const HeaderInfo& headers, std::uint32_t total) {
    at[headers.insert_name_offset] = number(IpProtocol::kEsp);
    if (headers.family == Family::kIpv6) {
        store_be16(at + 4, static_cast<std::uint16_t>(total - sizeof(Ipv6Header)));
        return;
    }
    store_be16(at + 2, static_cast<std::uint16_t>(total));
    store_be16(at + 10, 0);
    store_be16(at + 10, internet_checksum({at, headers.insert_offset}));
}

/// The next number of `sa`; nothing if it has none (RFC 4303 section 3.3.3).
[[gnu::always_inline]] inline bool next_sequence(const SecurityAssociation& sa, bool esn,
                                                 std::uint64_t& sequence) {
    const std::uint64_t last = sa.sequence.load(std::memory_order_relaxed);
    sequence = last + 1;
    return last < 0xffff'ffffu || (esn && sequence != 0);
}

/// How an SA of SaProfile::seals_short seals, known to the compiler.
struct ShortShape {
    explicit ShortShape(const SaProfile& /*profile*/) {}
    [[nodiscard]] static constexpr std::uint32_t iv() { return 8; }
    [[nodiscard]] static constexpr std::uint32_t icv() { return 16; }
    [[nodiscard]] static constexpr std::uint32_t block() { return 4; }
    [[nodiscard]] static constexpr bool is_counter_mode() { return true; }
    [[nodiscard]] static constexpr bool esn() { return false; }
    [[nodiscard]] static constexpr bool copies_dscp() { return true; }
    [[nodiscard]] static AddressKey tunnel_remote(const SecurityAssociation& sa) {
        return sa.remote;
    }
};
/// The same of any SA of SaProfile::is_common.
class AnyShape {
  public:
    explicit AnyShape(const SaProfile& profile) : profile_(profile) {}
    [[nodiscard]] std::uint32_t iv() const { return profile_.algorithm.iv_length; }
    [[nodiscard]] std::uint32_t icv() const { return profile_.algorithm.icv_length; }
    [[nodiscard]] std::uint32_t block() const { return profile_.algorithm.block; }
    [[nodiscard]] bool is_counter_mode() const { return profile_.algorithm.is_counter_mode(); }
    [[nodiscard]] bool esn() const { return profile_.esn; }
    [[nodiscard]] bool copies_dscp() const { return profile_.copy_dscp; }
    [[nodiscard]] static AddressKey tunnel_remote(const SecurityAssociation& sa) {
        return sa.tunnel_remote();
    }

  private:
    const SaProfile& profile_;
};

/// What select_policy() reads of an IP header, here of IPv6. False: it is none, or is not all
/// there.
template <Family kFamily>
struct ShortHeader {
    using Ip = Ipv6Header;
    static constexpr std::uint8_t kVersion = 6;

    [[gnu::always_inline]] static bool is_whole(const Packet& packet) {
        return packet.length >= sizeof(Ip) && packet.data[0] >> 4 == kVersion;
    }
    static std::uint32_t length(const std::uint8_t* at) {
        return static_cast<std::uint32_t>(sizeof(Ip)) + load_be16(at + 4);
    }
    static std::uint8_t protocol(const std::uint8_t* at) { return at[offsetof(Ip, next_header)]; }
    static AddressKey source(const std::uint8_t* at) {
        return AddressKey::load_ipv6(at + offsetof(Ip, source));
    }
    static AddressKey destination(const std::uint8_t* at) {
        return AddressKey::load_ipv6(at + offsetof(Ip, destination));
    }
};
/// Options may lie behind it, and other fragments of the packet elsewhere: the protocol is known.
template <>
struct ShortHeader<Family::kIpv4> {
    using Ip = Ipv4Header;
    static constexpr std::uint8_t kVersion = 4;

    static bool is_whole(const Packet& packet) {
        if (packet.length < sizeof(Ip) || packet.data[0] >> 4 != kVersion) return false;
        const auto& ip = *reinterpret_cast<const Ip*>(packet.data);
        return ip.header_length() >= sizeof(Ip) && ip.total_length.host() >= ip.header_length();
    }
    static std::uint32_t length(const std::uint8_t* at) { return load_be16(at + 2); }
    static std::uint8_t protocol(const std::uint8_t* at) { return at[offsetof(Ip, protocol)]; }
    static AddressKey source(const std::uint8_t* at) {
        return AddressKey::load_ipv4(at + offsetof(Ip, source));
    }
    static AddressKey destination(const std::uint8_t* at) {
        return AddressKey::load_ipv4(at + offsetof(Ip, destination));
    }
};

/// Where a packet goes, of which at least a header of IPv4 is there, and one of IPv6 if `is_ipv6`.
[[gnu::always_inline]] inline AddressKey destination_of(const Packet& packet, bool is_ipv6) {
    return is_ipv6 ? ShortHeader<Family::kIpv6>::destination(packet.data)
                   : ShortHeader<Family::kIpv4>::destination(packet.data);
}

}  // namespace

/// prepare_seal() for SAs whose profile is_common. False: something about the packet is out of the
/// ordinary, and nothing has changed.
template <class Shape>
[[gnu::always_inline]] inline bool EspEngine::State::prepare_common(SecurityAssociation& sa,
                                                                    std::uint32_t length,
                                                                    Family family, Packet& packet,
                                                                    CipherWork& work) {
    constexpr std::uint32_t kOuter = sizeof(Ipv6Header);
    const SaProfile& profile = *sa.profile;
    const Shape shape(profile);
    const std::uint32_t before = kOuter + kEspHeader + shape.iv();
    const std::uint32_t padding = (0u - (length + 2)) & (shape.block() - 1);
    const std::uint32_t behind = padding + 2 + shape.icv();
    const std::uint32_t total = before + length + behind;
    // None, 0, becomes the largest number.
    const std::uint32_t path_mtu = sa.path_mtu.load(std::memory_order_relaxed) - 1u;
    std::uint64_t sequence;
    if (total > kMaxIpv6Length || total - 1 > path_mtu || packet.headroom < before ||
        packet.tailroom < behind || !next_sequence(sa, shape.esn(), sequence)) [[unlikely]] {
        return false;
    }
    sa.sequence.store(sequence, std::memory_order_relaxed);
    sa.packets.store(sa.packets.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    sa.bytes.store(sa.bytes.load(std::memory_order_relaxed) + length, std::memory_order_relaxed);

    std::uint8_t* const data = packet.data;
    std::uint8_t* const esp = data - shape.iv() - kEspHeader;
    std::uint8_t* const outer = esp - kOuter;
    // What differs from packet to packet is in the header's first eight octets: traffic class, at
    // its place there, and length. With an identical class in both headers nothing is shifted.
    std::uint64_t traffic_class = family == Family::kIpv6
                                      ? load_be64(data) & std::uint64_t{0xff} << kClassShift
                                      : std::uint64_t{data[1]} << kClassShift;
    if (!shape.copies_dscp()) [[unlikely]] {
        traffic_class = (traffic_class & std::uint64_t{kEcnMask} << kClassShift) |
                        std::uint64_t{profile.fixed_dscp} << (kClassShift + 2);
    }
    store_be64(outer, profile.outer_start | traffic_class | std::uint64_t{total - kOuter} << 16);
    std::memcpy(outer + offsetof(Ipv6Header, source), profile.outer_source.bytes.data(), 16);
    const AddressKey remote = shape.tunnel_remote(sa);
    store_be64(outer + 24, remote.high);
    store_be64(outer + 32, remote.low);

    const std::uint32_t spi_be = byte_swap(sa.spi.value);
    const std::uint64_t spi_and_number =
        spi_be | std::uint64_t{byte_swap(static_cast<std::uint32_t>(sequence))} << 32;
    std::memcpy(esp, &spi_and_number, sizeof spi_and_number);
    if (shape.is_counter_mode()) {
        const std::uint64_t iv_be = byte_swap(sequence);
        std::memcpy(esp + kEspHeader, &iv_be, sizeof iv_be);
        set_aead_inputs(work, spi_be, sequence, shape.esn(), sa.salt, iv_be);
    } else if (shape.iv() != 0) {
        std::memcpy(esp + kEspHeader, ivs.next(*manager), IvSource::kIvLength);
    }
    const std::uint8_t next_header =
        number(family == Family::kIpv6 ? IpProtocol::kIpv6 : IpProtocol::kIpv4);
    if (shape.block() == 4) {
        write_short_trailer(data + length, padding, next_header);
    } else {
        write_trailer(data + length, padding, next_header);
    }
    work.sa = &sa;
    work.esp = esp;
    work.sequence = sequence;
    work.text_offset = static_cast<std::uint8_t>(kEspHeader + shape.iv());
    work.text_length = length + padding + 2;

    packet.data = outer;
    packet.headroom -= before;
    packet.tailroom -= behind;
    packet.length = total;
    return true;
}

/// What CompiledPolicies knows of packets of one protocol, asked for once for a run of them. A
/// local variable of the loop.
class EspEngine::State::QuickRun {
  public:
    explicit QuickRun(const CompiledPolicies& compiled) : compiled_(compiled) {}

    [[nodiscard, gnu::always_inline]] const QuickPolicy* of(Family family, std::uint8_t protocol) {
        const unsigned kind = static_cast<unsigned>(family) << 8 | protocol;
        if (kind != kind_) [[unlikely]] {
            quick_ = compiled_.quick_of(family, protocol);
            kind_ = kind;
        }
        return quick_;
    }

  private:
    const CompiledPolicies& compiled_;
    unsigned kind_ = 0;  // no family
    const QuickPolicy* quick_ = nullptr;
};

/// Looks at all of the headers. The packet's entry of the SPD, and in `to` what it needs to be
/// sealed; null: it is malformed.
const CompiledPolicy* EspEngine::State::walk_and_select(Packet& packet, Outgoing& to) {
    HeaderInfo& header = headers[to.packet];
    if (!walk_headers(packet.bytes(), header)) return nullptr;
    if (header.ip_length < packet.length) packet.set_length(header.ip_length);
    const CompiledPolicy& policy = spd.compiled().find(header, Direction::kOutbound);
    to.policy = &policy;
    to.length = header.ip_length;
    to.walked = true;
    to.asks = true;
    to.use = SecurityAssociation::kNoUse;
    to.hash = policy_key(policy, header).hash();
    return &policy;
}

/// The packet's entry of the SPD, for nearly all packets told by addresses and next header alone,
/// and in `to` what it needs to be sealed; null: the packet is malformed.
template <Family kFamily>
[[gnu::always_inline]] inline const CompiledPolicy* EspEngine::State::select_policy(QuickRun& quick,
                                                                                    Packet& packet,
                                                                                    Outgoing& to) {
    using Header = ShortHeader<kFamily>;
    const std::uint8_t* const at = packet.data;
    const std::uint32_t length = Header::length(at);
    const AddressKey destination = Header::destination(at);
    const QuickPolicy* const decided = CompiledPolicies::decide(
        quick.of(kFamily, Header::protocol(at)), Header::source(at), destination);
    if (decided == nullptr || length > packet.length) [[unlikely]]
        return walk_and_select(packet, to);
    if (length < packet.length) [[unlikely]]
        packet.set_length(length);
    const CompiledPolicy& policy = *decided->policy;
    to.policy = &policy;
    to.length = length;
    to.walked = false;
    if (policy.action != Action::kProtect) return &policy;
    to.use = SecurityAssociation::use_of(policy.id, kFamily);
    to.guess = recent.find(packet.flow);
    to.asks = to.guess == nullptr;
    if (to.asks) [[unlikely]]
        to.hash = PolicyKey::hash_of(PolicyKey::hash_salt(policy.id, kFamily), destination);
    return &policy;
}

/// Looks all packets up in the SPD. Those that are to be sealed are put into `outgoing`, and have
/// the verdict that they were; all others have theirs.
EspEngine::State::Selected EspEngine::State::select_policies(Packet* const* packets,
                                                             Verdict* verdicts, std::size_t count) {
    PolicyHits::Run run(hits, Direction::kOutbound);
    QuickRun quick(spd.compiled());
    Outgoing* to = outgoing.data();
    Outgoing** asks = asking.data();
    for (std::size_t i = 0; i < count; ++i) {
        Packet& packet = *packets[i];
        to->packet = static_cast<std::uint8_t>(i);
        const CompiledPolicy* policy;
        if (ShortHeader<Family::kIpv6>::is_whole(packet)) [[likely]] {
            policy = select_policy<Family::kIpv6>(quick, packet, *to);
        } else if (ShortHeader<Family::kIpv4>::is_whole(packet)) {
            policy = select_policy<Family::kIpv4>(quick, packet, *to);
        } else {
            policy = walk_and_select(packet, *to);
        }
        if (policy == nullptr) [[unlikely]] {
            verdicts[i] = Verdict::kOutDiscard;
            continue;
        }
        if (policy->action != Action::kProtect) {
            run.count(policy->hits, packet.length);
            verdicts[i] =
                policy->action == Action::kBypass ? Verdict::kOutBypass : Verdict::kOutDiscard;
            continue;
        }
        verdicts[i] = Verdict::kOutProtect;
        if (to->asks) [[unlikely]] {
            store.prefetch_outbound(to->hash);
            *asks++ = to;
        } else {
            SaStore::prefetch_to_seal(to->guess);
        }
        ++to;
    }
    return {static_cast<std::size_t>(to - outgoing.data()),
            static_cast<std::size_t>(asks - asking.data())};
}

/// Guesses the SAs of those whose flow none is known of.
void EspEngine::State::ask_store(Packet* const* packets, std::size_t asking_count) {
    for (Outgoing* const next : std::span(asking.data(), asking_count)) {
        next->guess = store.guess_outbound(next->hash);
        recent.remember(packets[next->packet]->flow, next->guess);
    }
}

/// The packet's SA, whatever use it has for the packet's entry of the SPD; null: there is none.
SecurityAssociation* EspEngine::State::find_association(const Outgoing& of, const Packet& packet) {
    PolicyKey key{of.policy->id, {}};
    if (of.walked) {
        key = policy_key(*of.policy, headers[of.packet]);
    } else {
        const bool is_ipv6 = of.is_quick_ipv6();
        key.remote = {destination_of(packet, is_ipv6), is_ipv6 ? Family::kIpv6 : Family::kIpv4};
    }
    return store.find_outbound(key, key.hash());
}

/// What sealing has to know of the headers of a packet that select_policy() has taken.
bool EspEngine::State::complete_header(const SaProfile& profile, const Packet& packet,
                                       const Outgoing& of) {
    if (of.walked) return true;
    HeaderInfo& header = headers[of.packet];
    if (profile.mode == Mode::kTransport) return walk_headers(packet.bytes(), header);
    header.family = packet.data[0] >> 4 == 6 ? Family::kIpv6 : Family::kIpv4;
    header.ip_length = of.length;
    return true;
}

Verdict EspEngine::State::prepare_seal(SecurityAssociation* sa, Packet& packet, const Outgoing& of,
                                       CipherWork& work) {
    const SaProfile& profile = *sa->profile;
    if (!complete_header(profile, packet, of)) return Verdict::kOutDiscard;
    const HeaderInfo& header = headers[of.packet];
    if (profile.is_common &&
        prepare_common<AnyShape>(*sa, header.ip_length, header.family, packet, work)) {
        return Verdict::kOutProtect;
    }
    // RFC 4303 section 3.3.4: transport mode is for whole datagrams.
    if (profile.mode == Mode::kTransport && header.fragment) return Verdict::kOutDiscard;
    const Layout layout = layout_of(profile, header, packet);
    if (!fits(*sa, header, packet, layout)) {
        sa->count_error(SaCold::kTooBig);
        return Verdict::kOutTooBig;
    }
    std::uint64_t sequence;
    if (!next_sequence(*sa, profile.esn, sequence)) {
        sa->count_error(SaCold::kSeqOverflow);
        tell(*sa, true, LifetimeReason::kSequence);
        return Verdict::kOutSeqOverflow;
    }
    sa->sequence.store(sequence, std::memory_order_relaxed);
    count_packet(*sa, header.ip_length);

    const std::uint32_t iv_length = profile.algorithm.iv_length;
    std::uint8_t* inner = packet.data;
    std::uint8_t* esp = inner + layout.start - iv_length - kEspHeader;
    std::uint8_t* outer = esp - layout.outer;
    if (profile.mode == Mode::kTunnel) {
        const std::uint8_t inner_class = traffic_class_of(inner, header.family);
        const std::uint8_t traffic_class =
            profile.copy_dscp
                ? inner_class
                : static_cast<std::uint8_t>(profile.fixed_dscp << 2 | (inner_class & 3));
        if (profile.tunnel_family == Family::kIpv6) {
            write_ipv6_outer(outer, *sa, traffic_class, layout.total);
        } else {
            write_ipv4_outer(outer, *sa, traffic_class, layout.total,
                             outer_dont_fragment(profile.dont_fragment, inner, header.family),
                             next_ipv4_id);
        }
    } else {
        std::memmove(outer, inner, layout.outer);
        patch_transport_headers(outer, header, layout.total);
    }
    const std::uint32_t spi_be = byte_swap(sa->spi.value);
    std::memcpy(esp, &spi_be, 4);
    store_be32(esp + 4, static_cast<std::uint32_t>(sequence));
    if (profile.algorithm.is_counter_mode()) {
        const std::uint64_t iv_be = byte_swap(sequence);
        std::memcpy(esp + kEspHeader, &iv_be, 8);
        set_aead_inputs(work, spi_be, sequence, profile.esn, sa->salt, iv_be);
    } else if (iv_length != 0) {
        std::memcpy(esp + kEspHeader, ivs.next(*manager), IvSource::kIvLength);
    }
    write_trailer(esp + kEspHeader + iv_length + layout.payload, layout.padding,
                  layout.next_header);
    work.sa = sa;
    work.esp = esp;
    work.text_offset = static_cast<std::uint8_t>(kEspHeader + iv_length);
    work.text_length = layout.payload + layout.padding + 2;
    work.sequence = sequence;

    packet.prepend(static_cast<std::uint32_t>(inner - outer));
    packet.set_length(layout.total);
    return Verdict::kOutProtect;
}

/// What the shortest way is not for.
Verdict EspEngine::State::prepare_by_long_way(Packet& packet, const Outgoing& of,
                                              CipherWork& work) {
    const bool is_ipv6 = of.is_quick_ipv6();
    SecurityAssociation* sa = of.guess;
    if (sa == nullptr || !sa->is_for(of.use, destination_of(packet, is_ipv6))) {
        sa = find_association(of, packet);
        recent.remember(packet.flow, sa);
    }
    if (sa == nullptr || sa->is_expired()) return Verdict::kOutNoSa;
    if (worker && sa->owner != *worker) return Verdict::kOutElsewhere;
    if (is_ipv6 && sa->profile->is_common &&
        prepare_common<AnyShape>(*sa, of.length, Family::kIpv6, packet, work)) {
        return Verdict::kOutProtect;
    }
    return prepare_seal(sa, packet, of, work);
}

/// Writes headers and trailers of what is in `outgoing`, and has the rest in `works`. How many they
/// are; the verdicts of others say why not.
std::size_t EspEngine::State::prepare_works(Packet* const* packets, Verdict* verdicts,
                                            std::size_t count) {
    constexpr unsigned kAnybody = 0x100;
    const unsigned owner = worker ? *worker : kAnybody;
    CipherWork* work = works.data();
    PolicyHits::Run run(hits, Direction::kOutbound);
    for (const Outgoing& next : std::span(outgoing.data(), count)) {
        Packet& packet = *packets[next.packet];
        SecurityAssociation* const sa = next.guess;
        if (sa == nullptr || !next.is_quick_ipv6() ||
            !sa->is_for(next.use, destination_of(packet, true)) || sa->is_expired() ||
            (owner != kAnybody && sa->owner != owner) || !sa->profile->seals_short ||
            !prepare_common<ShortShape>(*sa, next.length, Family::kIpv6, packet, *work))
            [[unlikely]] {
            const Verdict verdict = prepare_by_long_way(packet, next, *work);
            verdicts[next.packet] = verdict;
            // What is sealed elsewhere is counted there.
            if (verdict != Verdict::kOutElsewhere) run.count(next.policy->hits, next.length);
            if (verdict != Verdict::kOutProtect) continue;
        } else {
            run.count(next.policy->hits, next.length);
        }
        work->packet = next.packet;
        ++work;
    }
    return static_cast<std::size_t>(work - works.data());
}

void EspEngine::State::outbound_burst(Packet* const* packets, Verdict* verdicts,
                                      std::size_t count) {
    recent.begin(store.outbound_changes());
    const Selected selected = select_policies(packets, verdicts, count);
    if (selected.asking != 0) [[unlikely]]
        ask_store(packets, selected.asking);
    const std::size_t work_count = prepare_works(packets, verdicts, selected.count);
    if (cipher.seal(works.data(), tags.data(), work_count)) [[likely]]
        return;
    for (std::size_t k = 0; k < work_count; ++k) {
        // Never seen; but a packet that was not encrypted must not leave.
        if (CipherBurst::failed(works[k], tags[k])) {
            verdicts[works[k].packet] = Verdict::kOutDiscard;
        }
    }
}

}  // namespace homeport::ipsec
