// SPDX-License-Identifier: BSD-3-Clause
// A burst inbound, in three passes: whose packets they are, what the cipher has to know of each,
// and behind the cipher what is inside. What the passes tell each other about a packet is in its
// CipherWork, one cache line.
//
// Nearly all of it is ESP right behind an IPv6 header, under an SA of which SaProfile::opens_short
// says that little has to be compared. The short way, which is here, decides nothing about such
// packets in another way than prepare_open() and finish_open(): it refuses nothing, and a packet
// that it does not take goes the long way (inbound_long_way.cpp) as if nothing had been.
#include <array>
#include <bit>
#include <cstring>

#include "dataplane/base/ip_header.hpp"
#include "dataplane/ipsec/engine_state.hpp"

namespace homeport::ipsec {

namespace {

constexpr std::uint32_t kEspHeader = 8;
constexpr std::uint32_t kBareEsp = sizeof(Ipv6Header);
constexpr std::uint32_t kGcmText = kEspHeader + 8;  // from the ESP header
constexpr std::uint32_t kGcmIcv = 16;
constexpr std::uint32_t kBareGcm = kBareEsp + kGcmText + kGcmIcv;  // all that is not text

template <class T>
[[gnu::always_inline]] inline T load(const std::uint8_t* at) {
    T value;
    std::memcpy(&value, at, sizeof value);
    return value;
}

/// The first eight octets of an IPv6 header, in one load.
struct FirstWord {
    explicit FirstWord(const std::uint8_t* header) : word(load<std::uint64_t>(header)) {}

    [[nodiscard]] bool is_ipv6() const { return (word & 0xf0) == 0x60; }
    [[nodiscard]] bool is_ipv6_before(IpProtocol next) const {
        return (word & 0x00ff'0000'0000'00f0) == (std::uint64_t{number(next)} << 48 | 0x60);
    }
    /// Of the whole packet.
    [[nodiscard]] std::uint32_t packet_length() const {
        return std::uint32_t{sizeof(Ipv6Header)} +
               byte_swap(static_cast<std::uint16_t>(word >> 32));
    }
    [[nodiscard]] std::uint8_t next_header() const { return static_cast<std::uint8_t>(word >> 48); }
    [[nodiscard]] bool is_congested() const { return (word & 0x3000) == 0x3000; }

    std::uint64_t word;
    static_assert(std::endian::native == std::endian::little);
};

/// ESP right behind an IPv6 header and nothing behind it: notes where it is, and what is text if
/// AES-GCM made it.
[[gnu::always_inline]] inline bool is_bare_esp(const Packet& packet, CipherWork& work) {
    if (packet.length < kBareEsp + kEspHeader) return false;
    const FirstWord first(packet.data);
    if (!first.is_ipv6_before(IpProtocol::kEsp) || first.packet_length() != packet.length) {
        return false;
    }
    work.esp = packet.data + kBareEsp;
    work.text_length = packet.length - kBareGcm;
    work.text_offset = kGcmText;
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

/// AAD and nonce of set_aead_inputs(), in few and wide loads and stores, from the ESP header and
/// the IV behind it as they lie there.
[[gnu::always_inline]] inline void set_gcm_inputs(CipherWork& work, bool esn, std::uint32_t salt) {
    using Words = std::uint32_t __attribute__((vector_size(16)));
    using Halves = std::uint64_t __attribute__((vector_size(16)));
    const auto header = load<std::uint64_t>(work.esp);  // SPI, sequence number
    Halves aad{header, 0};
    work.aad_length = 8;
    if (esn) {
        const std::uint32_t high = byte_swap(static_cast<std::uint32_t>(work.sequence >> 32));
        aad = Halves{static_cast<std::uint32_t>(header) | std::uint64_t{high} << 32, header >> 32};
        work.aad_length = 12;
    }
    auto nonce = load<Words>(work.esp + 4);  // sequence number, IV
    nonce[0] = salt;
    std::memcpy(work.aad, &aad, sizeof aad);
    std::memcpy(work.nonce, &nonce, sizeof nonce);
}

[[gnu::always_inline]] inline bool is_same_icv(const std::uint8_t* a, const std::uint8_t* b) {
    // In time that does not depend on where they differ.
    return ((load<std::uint64_t>(a) ^ load<std::uint64_t>(b)) |
            (load<std::uint64_t>(a + 8) ^ load<std::uint64_t>(b + 8))) == 0;
}

/// The last eight octets of a text that holds an IPv6 packet, by the length of the padding in them,
/// 0 to 6: padding 1, 2, 3, ..., its length, next header.
struct Trailer {
    std::uint64_t value = 1;
    std::uint64_t mask = 0;  // of what is trailer; none is like what is there by default
};
constexpr auto kTrailers = [] {
    constexpr std::uint64_t kPadding = 0x06'0504'0302'01;
    std::array<Trailer, 8> trailers{};
    for (unsigned length = 0; length <= 6; ++length) {
        const unsigned rest = 8 * (6 - length);
        const std::uint64_t padding = (kPadding & ((std::uint64_t{1} << 8 * length) - 1)) << rest;
        trailers[length] = {.value = std::uint64_t{number(IpProtocol::kIpv6)} << 56 |
                                     std::uint64_t{length} << 48 | padding,
                            .mask = ~std::uint64_t{0} << rest};
    }
    return trailers;
}();

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

/// Of bare ESP, `work` from the first pass.
[[gnu::always_inline]] inline bool EspEngine::State::prepare_ordinary(CipherWork& work) {
    SecurityAssociation* const sa = work.sa;
    if (sa == nullptr) return false;
    const SaProfile& profile = *sa->profile;
    // Long enough for an IPv6 packet and a trailer, and a multiple of 4. In one comparison: what is
    // too short, or none, is a large number here.
    constexpr std::uint32_t kLeastText = sizeof(Ipv6Header) + 4;
    if (!profile.opens_short || std::rotr(work.text_length - kLeastText, 2) > 0xffff / 4 ||
        (sa->state.load(std::memory_order_relaxed) & SecurityAssociation::kHardExpired) != 0) {
        return false;
    }
    work.sequence = load_be32(work.esp + 4);
    if (profile.replay_window != 0) {
        __builtin_prefetch(sa->window().word_of(static_cast<std::uint32_t>(work.sequence)), 1);
        const bool is_next = work.sequence > sa->sequence.load(std::memory_order_relaxed);
        if ((profile.esn || !is_next) && !sa->extend_if_new(work.sequence)) return false;
    }
    set_gcm_inputs(work, profile.esn, sa->salt);
    return true;
}

/// Of a packet that prepare_ordinary() took and the cipher has opened.
[[gnu::always_inline]] inline bool EspEngine::State::finish_ordinary(Packet& packet,
                                                                     const CipherWork& work,
                                                                     PolicyHits::Run& run) {
    SecurityAssociation& sa = *work.sa;
    const SaProfile& profile = *sa.profile;
    std::uint8_t* const inner = work.esp + kGcmText;
    const std::uint8_t* const icv = inner + work.text_length;
    if (!is_same_icv(work.aad, icv)) return false;
    const auto trailer = load<std::uint64_t>(icv - 8);
    const auto padding = static_cast<std::uint8_t>(trailer >> 48);
    const Trailer& expected = kTrailers[padding % kTrailers.size()];
    if ((trailer & expected.mask) != expected.value) return false;
    const FirstWord first(inner);
    const std::uint32_t total = first.packet_length();
    if (!first.is_ipv6() || !is_upper_layer(first.next_header()) ||
        total + padding + 2 > work.text_length || FirstWord(work.esp - kBareEsp).is_congested()) {
        return false;
    }
    const AddressKey source = AddressKey::load_ipv6(inner + offsetof(Ipv6Header, source));
    if (profile.remote_is_of_sa) [[likely]] {
        if (!sa.is_remote(source)) return false;
    } else if (!profile.remote_prefix.contains(source)) {
        return false;
    }
    if (!profile.local_is_any && !profile.local_prefix.contains(AddressKey::load_ipv6(
                                     inner + offsetof(Ipv6Header, destination)))) {
        return false;
    }
    if (!sa.accept(work.sequence)) return false;
    packet.cut_front(kBareEsp + kGcmText);
    // What is left behind the inner packet is TFC padding (RFC 4303 section 2.7).
    packet.set_length(total);
    run.count(spd.slot_of(sa.policy), total);
    sa.count(total);
    return true;
}

/// The same, if finish_ordinary() does not see to it.
Verdict EspEngine::State::finish_otherwise(Packet& packet, const CipherWork& work,
                                           const CipherTag& tag) {
    HeaderInfo& header = headers[work.packet];
    describe_bare_esp(packet, header);
    return finish_open(packet, header, work, tag);
}

void EspEngine::State::inbound_burst(Packet* const* packets, Verdict* verdicts, std::size_t count) {
    static_assert(kMaxBurst <= 64, "a bit for each packet");
    CipherWork* end = works.data();
    for (std::size_t i = 0; i < count; ++i) {
        CipherWork& work = *end;
        if (!is_bare_esp(*packets[i], work)) [[unlikely]] {
            if (!classify(*packets[i], i, verdicts[i])) continue;
            work.esp = packets[i]->data + headers[i].upper_offset;
            work.text_offset = 0;  // not known yet
        }
        work.packet = static_cast<std::uint8_t>(i);
        work.sa = store.guess_inbound(Spi{load_be32(work.esp)});
        __builtin_prefetch(work.sa, 1);
        ++end;
    }

    std::uint64_t long_way = 0;  // bit k: works[k] came it so far
    CipherWork* ready = works.data();
    for (const CipherWork* found = works.data(); found != end; ++found) {
        CipherWork& work = *ready;
        if (found != ready) [[unlikely]]
            work = *found;
        const Spi spi{load_be32(work.esp)};
        if (work.sa == nullptr || work.sa->spi != spi) [[unlikely]]
            work.sa = store.find_inbound(spi);
        if (work.text_offset == 0 || !prepare_ordinary(work)) [[unlikely]] {
            const std::size_t i = work.packet;
            const auto k = static_cast<std::size_t>(ready - works.data());
            if (work.text_offset != 0) describe_bare_esp(*packets[i], headers[i]);
            verdicts[i] = prepare_open(*packets[i], headers[i], work, tags[k]);
            if (verdicts[i] != Verdict::kInOk) continue;
            long_way |= std::uint64_t{1} << k;
        }
        ++ready;
    }

    const auto work_count = static_cast<std::size_t>(ready - works.data());
    PolicyHits::Run run(hits, Direction::kInbound);
    const auto finish = [&](std::size_t k) __attribute__((always_inline)) {
        const CipherWork& work = works[k];
        const std::size_t i = work.packet;
        verdicts[i] = finish_ordinary(*packets[i], work, run)
                          ? Verdict::kInOk
                          : finish_otherwise(*packets[i], work, tags[k]);
    };
    if (long_way == 0) [[likely]] {
        cipher.open_gcm(works.data(), work_count, finish);
        return;
    }
    const bool all_done = cipher.open(works.data(), tags.data(), work_count);
    for (std::size_t k = 0; k < work_count; ++k) {
        if ((long_way >> k & 1) == 0) {
            finish(k);
            continue;
        }
        const CipherWork& work = works[k];
        if (!all_done && CipherBurst::failed(work, tags[k])) {
            work.sa->count_error(SaCold::kIcv);
            verdicts[work.packet] = Verdict::kInIcv;
            continue;
        }
        verdicts[work.packet] =
            finish_open(*packets[work.packet], headers[work.packet], work, tags[k]);
    }
}

}  // namespace homeport::ipsec
