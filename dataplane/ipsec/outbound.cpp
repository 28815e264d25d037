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

/// Padding 1, 2, 3, ..., pad length and next header (RFC 4303 section 2.4).
void write_trailer(std::uint8_t* at, std::uint32_t padding, std::uint8_t next_header) {
    if (padding <= 3) {
        // pad octets, then pad length and next header, in one store; what it writes beyond them is
        // the place of the ICV.
        static constexpr std::uint64_t kShort[4] = {0, 0x01'01, 0x02'02'01, 0x03'03'02'01};
        const std::uint64_t octets = kShort[padding] | std::uint64_t{next_header}
                                                           << (8 * padding + 8);
        std::memcpy(at, &octets, sizeof octets);
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

/// Lengths of AES-GCM, known to the compiler.
struct GcmShape {
    static constexpr std::uint32_t kIv = 8;
    explicit GcmShape(const AlgorithmInfo& /*algorithm*/) {}
    [[nodiscard]] static constexpr std::uint32_t iv() { return kIv; }
    [[nodiscard]] static constexpr std::uint32_t icv() { return 16; }
    [[nodiscard]] static constexpr std::uint32_t block() { return 4; }
    [[nodiscard]] static constexpr bool is_counter_mode() { return true; }
};
/// Those of any algorithm.
class AnyShape {
  public:
    explicit AnyShape(const AlgorithmInfo& algorithm) : algorithm_(algorithm) {}
    [[nodiscard]] std::uint32_t iv() const { return algorithm_.iv_length; }
    [[nodiscard]] std::uint32_t icv() const { return algorithm_.icv_length; }
    [[nodiscard]] std::uint32_t block() const { return algorithm_.block; }
    [[nodiscard]] bool is_counter_mode() const { return algorithm_.is_counter_mode(); }

  private:
    const AlgorithmInfo& algorithm_;
};

/// Where a packet goes that quick_policy() has taken.
[[gnu::always_inline]] inline RemoteKey destination_of(const Packet& packet) {
    if (packet.data[0] >> 4 == 6) [[likely]]
        return {AddressKey::load_ipv6(packet.data + offsetof(Ipv6Header, destination)),
                Family::kIpv6};
    return {AddressKey::load_ipv4(packet.data + offsetof(Ipv4Header, destination)), Family::kIpv4};
}

/// What quick_policy() reads of an IP header; length 0: it is none, or is not all there.
struct ShortHeader {
    std::uint32_t length = 0;
    std::uint8_t protocol = 0;
    AddressKey source;
    RemoteKey destination;
};

[[gnu::always_inline]] inline ShortHeader read_header(const Packet& packet) {
    const std::uint8_t* const at = packet.data;
    if (packet.length >= sizeof(Ipv6Header) && at[0] >> 4 == 6) [[likely]] {
        return {static_cast<std::uint32_t>(sizeof(Ipv6Header)) + load_be16(at + 4),
                at[offsetof(Ipv6Header, next_header)],
                AddressKey::load_ipv6(at + offsetof(Ipv6Header, source)),
                {AddressKey::load_ipv6(at + offsetof(Ipv6Header, destination)), Family::kIpv6}};
    }
    // Options may lie behind it, and other fragments of the packet elsewhere: the protocol is
    // known.
    if (packet.length < sizeof(Ipv4Header) || at[0] >> 4 != 4) return {};
    const auto& ip = *reinterpret_cast<const Ipv4Header*>(at);
    const std::uint32_t length = ip.total_length.host();
    if (ip.header_length() < sizeof(Ipv4Header) || length < ip.header_length()) return {};
    return {length,
            ip.protocol,
            AddressKey::load_ipv4(at + offsetof(Ipv4Header, source)),
            {AddressKey::load_ipv4(at + offsetof(Ipv4Header, destination)), Family::kIpv4}};
}

}  // namespace

/// prepare_seal() for SAs whose profile is_common. False: something about the packet is out of the
/// ordinary, and nothing has changed.
template <class Shape>
[[gnu::always_inline]] inline bool EspEngine::State::prepare_common(SecurityAssociation& sa,
                                                                    std::uint32_t length,
                                                                    Family family, Packet& packet,
                                                                    std::size_t index,
                                                                    CipherWork& work) {
    constexpr std::uint32_t kOuter = sizeof(Ipv6Header);
    const SaProfile& profile = *sa.profile;
    const Shape shape(profile.algorithm);
    const std::uint32_t before = kOuter + kEspHeader + shape.iv();
    const std::uint32_t padding = (0u - (length + 2)) & (shape.block() - 1);
    const std::uint32_t behind = padding + 2 + shape.icv();
    const std::uint32_t total = before + length + behind;
    // None, 0, becomes the largest number.
    const std::uint32_t path_mtu = sa.path_mtu.load(std::memory_order_relaxed) - 1u;
    std::uint64_t sequence;
    if (total > kMaxIpv6Length || total - 1 > path_mtu || packet.headroom < before ||
        packet.tailroom < behind || !next_sequence(sa, profile.esn, sequence)) [[unlikely]] {
        return false;
    }
    sa.sequence.store(sequence, std::memory_order_relaxed);
    sa.packets.store(sa.packets.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    sa.bytes.store(sa.bytes.load(std::memory_order_relaxed) + length, std::memory_order_relaxed);

    std::uint8_t* const data = packet.data;
    std::uint8_t* const esp = data - shape.iv() - kEspHeader;
    std::uint8_t* const outer = esp - kOuter;
    const std::uint8_t inner_class = traffic_class_of(data, family);
    const std::uint32_t traffic_class =
        profile.copy_dscp ? inner_class : profile.fixed_dscp << 2 | (inner_class & 3);
    // What differs from packet to packet is in the header's first eight octets.
    store_be64(outer, profile.outer_start | std::uint64_t{traffic_class} << 52 |
                          std::uint64_t{total - kOuter} << 16);
    std::memcpy(outer + offsetof(Ipv6Header, source), profile.outer_source.bytes.data(), 16);
    const AddressKey remote = sa.tunnel_remote();
    store_be64(outer + 24, remote.high);
    store_be64(outer + 32, remote.low);

    const std::uint32_t spi_be = byte_swap(sa.spi.value);
    const std::uint64_t spi_and_number =
        spi_be | std::uint64_t{byte_swap(static_cast<std::uint32_t>(sequence))} << 32;
    std::memcpy(esp, &spi_and_number, sizeof spi_and_number);
    if (shape.is_counter_mode()) {
        const std::uint64_t iv_be = byte_swap(sequence);
        std::memcpy(esp + kEspHeader, &iv_be, sizeof iv_be);
        set_aead_inputs(work, spi_be, sequence, profile.esn, sa.salt, iv_be);
    } else if (shape.iv() != 0) {
        std::memcpy(esp + kEspHeader, ivs.next(*manager), IvSource::kIvLength);
    }
    write_trailer(data + length, padding,
                  number(family == Family::kIpv6 ? IpProtocol::kIpv6 : IpProtocol::kIpv4));
    work.sa = &sa;
    work.esp = esp;
    work.sequence = sequence;
    work.text_offset = static_cast<std::uint8_t>(kEspHeader + shape.iv());
    work.text_length = length + padding + 2;
    work.packet = static_cast<std::uint8_t>(index);

    packet.data = outer;
    packet.headroom -= before;
    packet.tailroom -= behind;
    packet.length = total;
    return true;
}

[[gnu::always_inline]] inline bool EspEngine::State::prepare_common(SecurityAssociation& sa,
                                                                    std::uint32_t length,
                                                                    Family family, Packet& packet,
                                                                    std::size_t index,
                                                                    CipherWork& work) {
    const SaProfile& profile = *sa.profile;
    if (!profile.is_common) return false;
    return profile.algorithm.cipher == Cipher::kAesGcm
               ? prepare_common<GcmShape>(sa, length, family, packet, index, work)
               : prepare_common<AnyShape>(sa, length, family, packet, index, work);
}

/// For nearly all packets: the entry of the SPD, told by addresses and next header alone. Null:
/// select_policy() has to look closer.
[[gnu::always_inline]] inline const CompiledPolicy* EspEngine::State::quick_policy(
    const CompiledPolicies& compiled, const Packet& packet, std::size_t index) {
    const ShortHeader header = read_header(packet);
    if (header.length == 0 || header.length > packet.length) return nullptr;
    const CompiledPolicy* const policy = compiled.find_quickly(
        header.destination.family, header.protocol, header.source, header.destination.address);
    if (policy == nullptr) return nullptr;
    lengths[index] = header.length;
    hashes[index] = PolicyKey{policy->id, header.destination}.hash();
    return policy;
}

[[gnu::always_inline]] inline bool EspEngine::State::select_policy(const CompiledPolicies& compiled,
                                                                   Packet& packet,
                                                                   std::size_t index,
                                                                   Verdict& verdict,
                                                                   PolicyHits::Run& run) {
    if (const CompiledPolicy* const quick = quick_policy(compiled, packet, index)) [[likely]] {
        if (lengths[index] < packet.length) packet.set_length(lengths[index]);
        if (quick->action != Action::kProtect) {
            run.count(quick->hits, lengths[index]);
            verdict = quick->action == Action::kBypass ? Verdict::kOutBypass : Verdict::kOutDiscard;
            return false;
        }
        policies[index] = quick;
        store.prefetch_outbound(hashes[index]);
        return true;
    }
    return select_policy_slowly(compiled, packet, index, verdict, run);
}

bool EspEngine::State::select_policy_slowly(const CompiledPolicies& compiled, Packet& packet,
                                            std::size_t index, Verdict& verdict,
                                            PolicyHits::Run& run) {
    HeaderInfo& header = headers[index];
    if (!walk_headers(packet.bytes(), header)) {
        verdict = Verdict::kOutDiscard;
        return false;
    }
    if (header.ip_length < packet.length) packet.set_length(header.ip_length);
    const CompiledPolicy& policy = compiled.find(header, Direction::kOutbound);
    if (policy.action != Action::kProtect) {
        run.count(policy.hits, header.ip_length);
        verdict = policy.action == Action::kBypass ? Verdict::kOutBypass : Verdict::kOutDiscard;
        return false;
    }
    walked |= std::uint64_t{1} << index;
    policies[index] = &policy;
    hashes[index] = policy_key(policy, header).hash();
    store.prefetch_outbound(hashes[index]);
    return true;
}

/// The packet's SA; null: none can be used. `guess`: what may be it, or null.
[[gnu::always_inline]] inline SecurityAssociation* EspEngine::State::association_of(
    SecurityAssociation* guess, const Packet& packet, std::size_t index) {
    SecurityAssociation* sa = guess;
    const bool is_walked = (walked >> index & 1) != 0;
    const CompiledPolicy& policy = *policies[index];
    if (sa == nullptr || is_walked || !sa->is_for(policy.id, destination_of(packet))) [[unlikely]] {
        const PolicyKey key = is_walked ? policy_key(policy, headers[index])
                                        : PolicyKey{policy.id, destination_of(packet)};
        sa = store.find_outbound(key, hashes[index]);
    }
    const bool is_usable = sa != nullptr && (sa->state.load(std::memory_order_relaxed) &
                                             SecurityAssociation::kHardExpired) == 0;
    return is_usable ? sa : nullptr;
}

/// What sealing has to know of the headers of a packet that quick_policy() has taken.
bool EspEngine::State::complete_header(const SaProfile& profile, const Packet& packet,
                                       std::size_t index) {
    if ((walked >> index & 1) != 0) return true;
    if (profile.mode == Mode::kTransport) return walk_headers(packet.bytes(), headers[index]);
    headers[index].family = packet.data[0] >> 4 == 6 ? Family::kIpv6 : Family::kIpv4;
    headers[index].ip_length = lengths[index];
    return true;
}

Verdict EspEngine::State::prepare_seal(SecurityAssociation* sa, Packet& packet, std::size_t index,
                                       CipherWork& work) {
    const SaProfile& profile = *sa->profile;
    if (!complete_header(profile, packet, index)) return Verdict::kOutDiscard;
    const HeaderInfo& header = headers[index];
    if (prepare_common(*sa, header.ip_length, header.family, packet, index, work)) {
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
    work.packet = static_cast<std::uint8_t>(index);
    work.sequence = sequence;

    packet.prepend(static_cast<std::uint32_t>(inner - outer));
    packet.set_length(layout.total);
    return Verdict::kOutProtect;
}

void EspEngine::State::outbound_burst(Packet* const* packets, Verdict* verdicts,
                                      std::size_t count) {
    std::array<std::uint8_t, kMaxBurst> protect;
    std::array<SecurityAssociation*, kMaxBurst> guesses;
    std::size_t protect_count = 0;
    walked = 0;
    const CompiledPolicies& compiled = spd.compiled();
    PolicyHits::Run run(hits, Direction::kOutbound);
    for (std::size_t i = 0; i < count; ++i) {
        if (select_policy(compiled, *packets[i], i, verdicts[i], run)) {
            protect[protect_count++] = static_cast<std::uint8_t>(i);
        }
    }
    for (std::size_t k = 0; k < protect_count; ++k) {
        guesses[k] = store.guess_outbound(hashes[protect[k]]);
    }
    std::size_t work_count = 0;
    const SecurityAssociation* announced = nullptr;
    for (std::size_t k = 0; k < protect_count; ++k) {
        const std::size_t i = protect[k];
        CipherWork& work = works[work_count];
        SecurityAssociation* const sa = association_of(guesses[k], *packets[i], i);
        if (sa != nullptr && worker && sa->owner != *worker) [[unlikely]] {
            verdicts[i] = Verdict::kOutElsewhere;  // counted where it is sealed
            continue;
        }
        run.count(policies[i]->hits, packets[i]->length);
        if (sa == nullptr) [[unlikely]] {
            verdicts[i] = Verdict::kOutNoSa;
            continue;
        }
        if (is_quick_ipv6(*packets[i], i) &&
            prepare_common(*sa, lengths[i], Family::kIpv6, *packets[i], i, work)) [[likely]] {
            verdicts[i] = Verdict::kOutProtect;
        } else {
            verdicts[i] = prepare_seal(sa, *packets[i], i, work);
            if (verdicts[i] != Verdict::kOutProtect) continue;
        }
        if (work.sa != announced) cipher.announce(work);
        announced = work.sa;
        ++work_count;
    }
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
