// SPDX-License-Identifier: BSD-3-Clause
// One packet inbound, whatever it is: RFC 4301 section 5.2 and RFC 4303 section 3.4 step by step.
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

Verdict EspEngine::State::prepare_open(const Packet& packet, const HeaderInfo& header,
                                       CipherWork& work, CipherTag& tag) {
    const std::uint8_t* const esp = work.esp;
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
        __builtin_prefetch(sa->window().word_of(static_cast<std::uint32_t>(sequence)), 1);
        if (!sa->extend_if_new(sequence)) {
            sa->count_error(SaCold::kReplay);
            return Verdict::kInReplay;
        }
    }
    work.text_offset = static_cast<std::uint8_t>(kEspHeader + algorithm.iv_length);
    work.text_length = length - fixed;
    work.sequence = sequence;
    if (algorithm.is_counter_mode()) {
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
    const bool aead = profile.algorithm.is_counter_mode();
    if (!equal_in_constant_time(aead ? work.aad : tag.computed, aead ? work.icv() : tag.received,
                                profile.algorithm.icv_length)) {
        return refuse(SaCold::kIcv, Verdict::kInIcv);
    }
    // Looked at again: an earlier packet of this burst may have had the same number.
    if (!sa.accept(work.sequence)) return refuse(SaCold::kReplay, Verdict::kInReplay);
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

}  // namespace homeport::ipsec
