// SPDX-License-Identifier: BSD-3-Clause
// Inbound processing, RFC 4301 section 5.2 and RFC 4303 section 3.4.
#include <bit>
#include <cstring>

#include "dataplane/base/checksum.hpp"
#include "dataplane/base/ip_header.hpp"
#include "dataplane/ipsec/engine_state.hpp"

namespace homeport::ipsec {

namespace {

constexpr std::uint32_t kEspHeader = 8;

/// In time that does not depend on where they differ.
bool equal_in_constant_time(const std::uint8_t* a, const std::uint8_t* b, std::size_t length) {
    if (length == 16) {
        std::uint64_t x[2];
        std::uint64_t y[2];
        std::memcpy(x, a, sizeof x);
        std::memcpy(y, b, sizeof y);
        return ((x[0] ^ y[0]) | (x[1] ^ y[1])) == 0;
    }
    std::uint8_t difference = 0;
    for (std::size_t i = 0; i < length; ++i) difference |= static_cast<std::uint8_t>(a[i] ^ b[i]);
    return difference == 0;
}

bool padding_is_right(const std::uint8_t* padding, std::size_t length) {
    for (std::size_t i = 0; i < length; ++i) {
        if (padding[i] != static_cast<std::uint8_t>(i + 1)) return false;
    }
    return true;
}

std::uint8_t ecn_of(const std::uint8_t* header, Family family) {
    return family == Family::kIpv4
               ? header[1] & 3
               : reinterpret_cast<const Ipv6Header*>(header)->traffic_class() & 3;
}

/// RFC 4301 section 5.1.2.1: inner ECT and outer CE make CE, else the inner header stays.
void propagate_congestion(std::uint8_t* inner, Family family) {
    constexpr std::uint8_t kCongestionExperienced = 3;
    if (ecn_of(inner, family) == 0) return;
    if (family == Family::kIpv6) {
        inner[1] |= kCongestionExperienced << 4;
        return;
    }
    const std::uint16_t before = load_be16(inner);
    inner[1] |= kCongestionExperienced;
    store_be16(inner + 10, checksum_update(load_be16(inner + 10), before, load_be16(inner)));
}

/// Cuts outer header and trailer off. False if what is inside is not the IP packet that it is
/// named.
bool decapsulate(Packet& packet, const HeaderInfo& outer, std::uint32_t text_at,
                 std::uint32_t payload, std::uint8_t next_header, HeaderInfo& inner) {
    const Family family = next_header == number(IpProtocol::kIpv6)   ? Family::kIpv6
                          : next_header == number(IpProtocol::kIpv4) ? Family::kIpv4
                                                                     : Family::kNone;
    if (family == Family::kNone) return false;
    const bool congested = ecn_of(packet.data, outer.family) == 3;
    packet.cut_front(text_at);
    packet.set_length(payload);
    if (!walk_headers(packet.bytes(), inner) || inner.family != family) return false;
    // What is left behind the inner packet is TFC padding (RFC 4303 section 2.7).
    packet.set_length(inner.ip_length);
    if (congested) propagate_congestion(packet.data, family);
    return true;
}

/// Takes ESP out from between the headers and the payload.
bool remove_esp(Packet& packet, const HeaderInfo& outer, std::uint32_t text_at,
                std::uint32_t payload, std::uint8_t next_header, HeaderInfo& inner) {
    const std::uint32_t header_length = outer.upper_offset;
    const std::uint32_t removed = text_at - header_length;
    std::memmove(packet.data + removed, packet.data, header_length);
    packet.cut_front(removed);
    packet.set_length(header_length + payload);
    packet.data[outer.upper_name_offset] = next_header;
    if (outer.family == Family::kIpv6) {
        store_be16(packet.data + 4, static_cast<std::uint16_t>(packet.length - sizeof(Ipv6Header)));
    } else {
        store_be16(packet.data + 2, static_cast<std::uint16_t>(packet.length));
        store_be16(packet.data + 10, 0);
        store_be16(packet.data + 10, internet_checksum({packet.data, header_length}));
    }
    return walk_headers(packet.bytes(), inner);
}

}  // namespace

Verdict EspEngine::State::policy_verdict(const HeaderInfo& packet) {
    const CompiledPolicy& policy = spd.compiled().find(packet, Direction::kInbound);
    // What an entry protects is counted when it comes out of an SA.
    if (policy.action == Action::kProtect) return Verdict::kInPolicy;
    hits.count(Direction::kInbound, policy.hits, packet.ip_length);
    return policy.action == Action::kBypass ? Verdict::kInBypass : Verdict::kInDiscard;
}

// ----------------------------------------------------------------------------------- the short way
//
// Nearly all of it is ESP right behind an IPv6 header, under an SA of which SaProfile::opens_short
// says that little has to be compared. What is done about such packets decides nothing in another
// way than prepare_open() and finish_open(): it refuses nothing, and a packet that it does not take
// goes the long way as if nothing had been.

namespace {

constexpr std::uint32_t kBareEsp = sizeof(Ipv6Header);
constexpr std::uint32_t kGcmText = kEspHeader + 8;  // from the ESP header
constexpr std::uint32_t kGcmIcv = 16;

/// The first eight octets of an IPv6 header, in one load.
struct FirstWord {
    explicit FirstWord(const std::uint8_t* header) { std::memcpy(&word, header, sizeof word); }

    [[nodiscard]] bool is_ipv6() const { return (word & 0xf0) == 0x60; }
    [[nodiscard]] std::uint32_t packet_length() const {
        return std::uint32_t{sizeof(Ipv6Header)} +
               byte_swap(static_cast<std::uint16_t>(word >> 32));
    }
    [[nodiscard]] std::uint8_t next_header() const { return static_cast<std::uint8_t>(word >> 48); }
    [[nodiscard]] bool is_congested() const { return (word & 0x3000) == 0x3000; }

    std::uint64_t word;
    static_assert(std::endian::native == std::endian::little);
};

/// ESP right behind an IPv6 header; cuts off what is behind it.
[[gnu::always_inline]] inline bool is_bare_esp(Packet& packet) {
    constexpr std::uint32_t kLeast = kBareEsp + kEspHeader;
    if (packet.length < kLeast) return false;
    const FirstWord first(packet.data);
    const std::uint32_t total = first.packet_length();
    if (!first.is_ipv6() || first.next_header() != number(IpProtocol::kEsp) || total < kLeast ||
        total > packet.length) {
        return false;
    }
    if (total < packet.length) packet.set_length(total);
    return true;
}

/// What the long way wants to know of the headers of such a packet; its addresses are nobody's
/// business then.
void describe_bare_esp(const Packet& packet, HeaderInfo& header) {
    header.family = Family::kIpv6;
    header.ip_length = packet.length;
    header.upper_offset = kBareEsp;
    header.upper_name_offset = offsetof(Ipv6Header, next_header);
}

/// Padding by its length, as a little-endian number.
constexpr std::array<std::uint64_t, 8> kPadding{
    0, 0x01, 0x0201, 0x03'0201, 0x0403'0201, 0x05'0403'0201, 0x0605'0403'0201, 0x07'0605'0403'0201};

/// Whether `length` octets of padding, up to seven, before `end` are 1, 2, 3, ... There are at
/// least eight octets before `end`.
[[gnu::always_inline]] inline bool short_padding_is_right(const std::uint8_t* end,
                                                          std::uint32_t length) {
    if (length >= kPadding.size()) return false;
    std::uint64_t before;
    std::memcpy(&before, end - sizeof before, sizeof before);
    // In two shifts, as there is none by 64.
    const std::uint64_t padding = before >> 8 >> (56 - 8 * length);
    return padding == kPadding[length];
}

/// Not one of the headers that selectors look behind (RFC 4301 section 4.4.1.1).
[[gnu::always_inline]] inline bool is_upper_layer(std::uint8_t protocol) {
    constexpr std::uint64_t kExtensions = std::uint64_t{1} << number(IpProtocol::kHopByHop) |
                                          std::uint64_t{1} << number(IpProtocol::kRouting) |
                                          std::uint64_t{1} << number(IpProtocol::kFragment) |
                                          std::uint64_t{1}
                                              << number(IpProtocol::kDestinationOptions);
    return protocol >= 64 || (kExtensions >> protocol & 1) == 0;
}

}  // namespace

[[gnu::always_inline]] inline bool EspEngine::State::prepare_ordinary(const Packet& packet,
                                                                      std::size_t index,
                                                                      CipherWork& work) {
    SecurityAssociation* const sa = work.sa;
    if (sa == nullptr) return false;
    const SaProfile& profile = *sa->profile;
    // Long enough for an IPv6 packet in it, and the headers before it are a multiple of 4.
    constexpr std::uint32_t kFixed = kBareEsp + kGcmText + kGcmIcv;
    static_assert(kFixed % 4 == 0);
    if (!profile.opens_short || packet.length < kFixed + sizeof(Ipv6Header) + 4 ||
        packet.length % 4 != 0 ||
        (sa->state.load(std::memory_order_relaxed) & SecurityAssociation::kHardExpired) != 0) {
        return false;
    }
    std::uint8_t* const esp = packet.data + kBareEsp;
    std::uint64_t sequence = load_be32(esp + 4);
    if (profile.replay_window != 0) {
        const ReplayWindow window = sa->window();
        __builtin_prefetch(window.word_of(static_cast<std::uint32_t>(sequence)), 1);
        if ((profile.esn && !window.extend(static_cast<std::uint32_t>(sequence), sequence)) ||
            !window.is_new(sequence)) {
            return false;
        }
    }
    work.esp = esp;
    work.sequence = sequence;
    work.text_length = packet.length - kFixed;
    work.text_offset = kGcmText;
    work.packet = static_cast<std::uint8_t>(index);
    std::uint32_t spi_be;
    std::uint64_t iv_be;
    std::memcpy(&spi_be, esp, sizeof spi_be);
    std::memcpy(&iv_be, esp + kEspHeader, sizeof iv_be);
    set_aead_inputs(work, spi_be, sequence, profile.esn, sa->salt, iv_be);
    return true;
}

[[gnu::always_inline]] inline bool EspEngine::State::finish_ordinary(Packet& packet,
                                                                     const CipherWork& work,
                                                                     const CipherTag& tag,
                                                                     PolicyHits::Run& run) {
    SecurityAssociation& sa = *work.sa;
    const SaProfile& profile = *sa.profile;
    const std::uint8_t* const icv = work.icv();
    if (!equal_in_constant_time(tag.computed, icv, kGcmIcv)) return false;
    const std::uint32_t padding = icv[-2];
    if (icv[-1] != number(IpProtocol::kIpv6) || !short_padding_is_right(icv - 2, padding)) {
        return false;
    }
    const std::uint8_t* const inner = work.text();
    const FirstWord first(inner);
    const std::uint32_t total = first.packet_length();
    if (!first.is_ipv6() || !is_upper_layer(first.next_header()) ||
        total + padding + 2 > work.text_length || FirstWord(packet.data).is_congested()) {
        return false;
    }
    const AddressKey source = AddressKey::load_ipv6(inner + offsetof(Ipv6Header, source));
    const AddressKey destination = AddressKey::load_ipv6(inner + offsetof(Ipv6Header, destination));
    const bool from_remote =
        profile.remote_is_of_sa ? sa.is_remote(source) : profile.remote_prefix.contains(source);
    if (!from_remote || !profile.local_prefix.contains(destination)) return false;
    if (profile.replay_window != 0) {
        if (!sa.window().accept(work.sequence)) return false;
    } else if (work.sequence > sa.sequence.load(std::memory_order_relaxed)) {
        sa.sequence.store(work.sequence, std::memory_order_relaxed);
    }
    packet.cut_front(kBareEsp + kGcmText);
    // What is left behind the inner packet is TFC padding (RFC 4303 section 2.7).
    packet.set_length(total);
    run.count(spd.slot_of(sa.policy), total);
    sa.count(total);
    return true;
}

// ------------------------------------------------------------------------------------ the long way

bool EspEngine::State::classify(Packet& packet, std::size_t index, Verdict& verdict) {
    HeaderInfo& header = headers[index];
    if (!walk_headers(packet.bytes(), header)) {
        verdict = Verdict::kInMalformed;
        return false;
    }
    if (header.ip_length < packet.length) packet.set_length(header.ip_length);
    if (!header.protocol_known || header.protocol != number(IpProtocol::kEsp)) {
        verdict = policy_verdict(header);
        return false;
    }
    if (header.fragment) {
        verdict = Verdict::kInFragment;
        return false;
    }
    if (packet.length < header.upper_offset + kEspHeader) {
        verdict = Verdict::kInMalformed;
        return false;
    }
    return true;
}

Verdict EspEngine::State::prepare_open(Packet& packet, std::size_t index, CipherWork& work,
                                       CipherTag& tag) {
    const HeaderInfo& header = headers[index];
    std::uint8_t* esp = packet.data + header.upper_offset;
    SecurityAssociation* sa = work.sa;
    if (sa == nullptr ||
        (sa->state.load(std::memory_order_relaxed) & SecurityAssociation::kHardExpired) != 0) {
        return Verdict::kInNoSa;
    }
    const SaProfile& profile = *sa->profile;
    const AlgorithmInfo& algorithm = profile.algorithm;
    const std::uint32_t length = packet.length - header.upper_offset;
    const std::uint32_t fixed = kEspHeader + algorithm.iv_length + algorithm.icv_length;
    if (length < fixed + algorithm.block || ((length - fixed) & (algorithm.block - 1u)) != 0) {
        sa->count_error(SaCold::kMalformed);
        return Verdict::kInMalformed;
    }
    std::uint64_t sequence = load_be32(esp + 4);
    if (profile.replay_window != 0) {
        const ReplayWindow window = sa->window();
        __builtin_prefetch(window.word_of(static_cast<std::uint32_t>(sequence)), 1);
        if ((profile.esn && !window.extend(static_cast<std::uint32_t>(sequence), sequence)) ||
            !window.is_new(sequence)) {
            sa->count_error(SaCold::kReplay);
            return Verdict::kInReplay;
        }
    }
    work.esp = esp;
    work.text_offset = static_cast<std::uint8_t>(kEspHeader + algorithm.iv_length);
    work.text_length = length - fixed;
    work.packet = static_cast<std::uint8_t>(index);
    work.sequence = sequence;
    if (algorithm.is_counter_mode()) {
        std::memcpy(tag.received, work.icv(), 16);
        std::uint32_t spi_be;
        std::uint64_t iv_be;
        std::memcpy(&spi_be, esp, 4);
        std::memcpy(&iv_be, esp + kEspHeader, 8);
        set_aead_inputs(work, spi_be, sequence, profile.esn, sa->salt, iv_be);
    } else {
        std::memcpy(tag.received, work.icv(), algorithm.icv_length);
    }
    return Verdict::kInOk;
}

Verdict EspEngine::State::finish_open(Packet& packet, const HeaderInfo& outer,
                                      const CipherWork& work, const CipherTag& tag) {
    SecurityAssociation& sa = *work.sa;
    const SaProfile& profile = *sa.profile;
    const auto refuse = [&sa](SaCold::Error error, Verdict verdict) {
        sa.count_error(error);
        return verdict;
    };
    if (!equal_in_constant_time(tag.computed, tag.received, profile.algorithm.icv_length)) {
        return refuse(SaCold::kIcv, Verdict::kInIcv);
    }
    // Looked at again: an earlier packet of this burst may have had the same number.
    if (profile.replay_window != 0) {
        if (!sa.window().accept(work.sequence)) return refuse(SaCold::kReplay, Verdict::kInReplay);
    } else if (work.sequence > sa.sequence.load(std::memory_order_relaxed)) {
        sa.sequence.store(work.sequence, std::memory_order_relaxed);
    }
    const std::uint8_t* trailer = work.icv() - 2;
    const std::uint32_t padding = trailer[0];
    const std::uint8_t next_header = trailer[1];
    if (padding + 2 > work.text_length || !padding_is_right(trailer - padding, padding)) {
        return refuse(SaCold::kPadding, Verdict::kInPadding);
    }
    if (next_header == number(IpProtocol::kNoNextHeader)) return Verdict::kInDummy;
    const std::uint32_t text_at = outer.upper_offset + work.text_offset;
    const std::uint32_t payload = work.text_length - 2 - padding;
    HeaderInfo inner;
    const bool whole = profile.mode == Mode::kTunnel
                           ? decapsulate(packet, outer, text_at, payload, next_header, inner)
                           : remove_esp(packet, outer, text_at, payload, next_header, inner);
    if (!whole) return refuse(SaCold::kMalformed, Verdict::kInMalformed);
    const auto policy = matching_policy(sa, inner);
    if (!policy) return refuse(SaCold::kSelectorMismatch, Verdict::kInSelectorMismatch);
    hits.count(Direction::kInbound, spd.slot_of(*policy), packet.length);
    count_packet(sa, packet.length);
    return Verdict::kInOk;
}

void EspEngine::State::inbound_burst(Packet* const* packets, Verdict* verdicts, std::size_t count) {
    static_assert(kMaxBurst <= 64, "a bit for each packet");
    std::array<Spi, kMaxBurst> spis;
    std::array<std::uint8_t, kMaxBurst> places;  // of what is ESP, in the burst
    std::uint64_t bare = 0;                      // bit k: of these, ESP right behind an IPv6 header
    std::size_t esp_count = 0;
    for (std::size_t i = 0; i < count; ++i) {
        Packet& packet = *packets[i];
        const bool is_bare = is_bare_esp(packet);
        if (!is_bare && !classify(packet, i, verdicts[i])) continue;
        bare |= std::uint64_t{is_bare} << esp_count;
        const std::uint32_t at = is_bare ? kBareEsp : headers[i].upper_offset;
        spis[esp_count] = Spi{load_be32(packet.data + at)};
        store.prefetch_inbound(spis[esp_count]);
        places[esp_count++] = static_cast<std::uint8_t>(i);
    }
    std::array<SecurityAssociation*, kMaxBurst> associations;
    for (std::size_t k = 0; k < esp_count; ++k) {
        associations[k] = store.guess_inbound(spis[k]);
        __builtin_prefetch(associations[k], 1);
    }

    std::uint64_t ordinary = 0;  // bit k: works[k] came the short way so far
    std::size_t work_count = 0;
    for (std::size_t k = 0; k < esp_count; ++k) {
        const std::size_t i = places[k];
        CipherWork& work = works[work_count];
        work.sa = associations[k];
        if (work.sa == nullptr || work.sa->spi != spis[k]) [[unlikely]]
            work.sa = store.find_inbound(spis[k]);
        const bool is_bare = (bare >> k & 1) != 0;
        if (is_bare && prepare_ordinary(*packets[i], i, work)) [[likely]] {
            ordinary |= std::uint64_t{1} << work_count;
        } else {
            if (is_bare) describe_bare_esp(*packets[i], headers[i]);
            verdicts[i] = prepare_open(*packets[i], i, work, tags[work_count]);
            if (verdicts[i] != Verdict::kInOk) continue;
        }
        if (work_count == 0 || works[work_count - 1].sa != work.sa) cipher.announce(work);
        ++work_count;
    }

    const bool all_done = cipher.open(works.data(), tags.data(), work_count);
    PolicyHits::Run run(hits, Direction::kInbound);
    for (std::size_t k = 0; k < work_count; ++k) {
        const CipherWork& work = works[k];
        const std::size_t i = work.packet;
        if ((ordinary >> k & 1) != 0) [[likely]] {
            if (finish_ordinary(*packets[i], work, tags[k], run)) [[likely]] {
                verdicts[i] = Verdict::kInOk;
                continue;
            }
            describe_bare_esp(*packets[i], headers[i]);
            std::memcpy(tags[k].received, work.icv(), kGcmIcv);
        } else if (!all_done && CipherBurst::failed(work, tags[k])) {
            work.sa->count_error(SaCold::kIcv);
            verdicts[i] = Verdict::kInIcv;
            continue;
        }
        verdicts[i] = finish_open(*packets[i], headers[i], work, tags[k]);
    }
}

}  // namespace homeport::ipsec
