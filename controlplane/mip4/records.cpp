// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/mip4/records.hpp"

#include <algorithm>

#include "controlplane/wire/bytes.hpp"

namespace homeport::mip4 {

namespace {

using namespace wire;

constexpr std::uint8_t kVersion = 1;
constexpr std::uint64_t kNever = ~std::uint64_t{0};
constexpr std::uint64_t kYear2200 = 7'258'118'400'000;
constexpr char kOfBindings = 'b';
constexpr char kOfIdentification = 'i';
constexpr std::size_t kMostBindings = 255;

enum : std::uint8_t {
    kUdp = 1,
    kHalfBound = 2,
    kReverseTunnel = 4,
    kCoLocated = 8,
    kBroadcasts = 16,
    kRevocable = 32,
    kByForeignAgent = 64,
    kInforms = 128,
};

void put(Bytes& out, const Endpoint& endpoint) {
    put_bytes(out, endpoint.address.bytes);
    put16(out, endpoint.port);
}

void put(Bytes& out, TimePoint time, const Clocks& clocks) {
    if (time == TimePoint::max()) return put64(out, kNever);
    const auto wall = clocks.wall + std::chrono::duration_cast<std::chrono::system_clock::duration>(
                                        time - clocks.steady);
    put64(out, static_cast<std::uint64_t>(
                   std::chrono::duration_cast<std::chrono::milliseconds>(wall.time_since_epoch())
                       .count()));
}

void put_text(Bytes& out, std::string_view text) {
    put16(out, static_cast<std::uint16_t>(std::min<std::size_t>(text.size(), 0xffff)));
    out.insert(out.end(), text.begin(), text.end());
}

std::uint8_t flags_of(const Binding& one) {
    return static_cast<std::uint8_t>(
        (one.udp ? kUdp : 0) | (one.half_bound ? kHalfBound : 0) |
        (one.reverse_tunnel ? kReverseTunnel : 0) | (one.co_located ? kCoLocated : 0) |
        (one.broadcasts ? kBroadcasts : 0) | (one.revocable ? kRevocable : 0) |
        (one.by_foreign_agent ? kByForeignAgent : 0) | (one.informs_mobile_node ? kInforms : 0));
}

void put(Bytes& out, const Binding& one, const Clocks& clocks) {
    put_bytes(out, one.care_of_address.bytes);
    put(out, one.tunnel_end);
    put(out, one.local_end);
    put8(out, static_cast<std::uint8_t>(one.encapsulation));
    put8(out, flags_of(one));
    put16(out, one.keepalive);
    put16(out, one.lifetime);
    put64(out, one.identification);
    put32(out, one.spi);
    put(out, one.requested_from);
    put32(out, one.revocation_timestamp);
    put32(out, one.foreign_association);
    put(out, one.registered, clocks);
    put(out, one.deadline, clocks);
}

/// After a first mistake everything reads as zero.
class Reader {
  public:
    Reader(ConstByteSpan bytes, const Clocks& clocks) : left_(bytes), clocks_(clocks) {}

    [[nodiscard]] bool at_end() const { return left_.empty() && !failed_; }
    [[nodiscard]] bool failed() const { return failed_; }
    std::uint8_t octet() {
        const ConstByteSpan at = take(1);
        return at.empty() ? std::uint8_t{0} : at[0];
    }
    std::uint16_t number16() {
        const ConstByteSpan at = take(2);
        return at.empty() ? std::uint16_t{0} : load_be16(at.data());
    }
    std::uint32_t number32() {
        const ConstByteSpan at = take(4);
        return at.empty() ? 0u : load_be32(at.data());
    }
    std::uint64_t number64() {
        const ConstByteSpan at = take(8);
        return at.empty() ? std::uint64_t{0} : load_be64(at.data());
    }
    Ipv4Address address() {
        const ConstByteSpan at = take(4);
        return at.empty() ? Ipv4Address{} : Ipv4Address::load(at.data());
    }
    Endpoint endpoint() {
        Endpoint read;
        read.address = address();
        read.port = number16();
        return read;
    }
    TimePoint time() {
        const std::uint64_t milliseconds = number64();
        if (milliseconds == kNever) return TimePoint::max();
        if (milliseconds > kYear2200) fail();
        if (failed_) return {};
        const std::chrono::system_clock::time_point wall{
            std::chrono::milliseconds(static_cast<std::int64_t>(milliseconds))};
        return clocks_.steady + std::chrono::duration_cast<Duration>(wall - clocks_.wall);
    }
    std::string text() {
        const ConstByteSpan at = take(number16());
        return {at.begin(), at.end()};
    }
    void fail() {
        failed_ = true;
        left_ = {};
    }

  private:
    ConstByteSpan take(std::size_t length) {
        if (length > left_.size()) {
            fail();
            return {};
        }
        const ConstByteSpan taken = left_.first(length);
        left_ = left_.subspan(length);
        return taken;
    }
    ConstByteSpan left_;
    const Clocks& clocks_;
    bool failed_ = false;
};

Binding read_binding(Reader& in) {
    Binding one;
    one.care_of_address = in.address();
    one.tunnel_end = in.endpoint();
    one.local_end = in.endpoint();
    const std::uint8_t encapsulation = in.octet();
    if (encapsulation != 4 && encapsulation != 47 && encapsulation != 55) in.fail();
    one.encapsulation = static_cast<Encapsulation>(encapsulation);
    const std::uint8_t flags = in.octet();
    one.udp = (flags & kUdp) != 0;
    one.half_bound = (flags & kHalfBound) != 0;
    one.reverse_tunnel = (flags & kReverseTunnel) != 0;
    one.co_located = (flags & kCoLocated) != 0;
    one.broadcasts = (flags & kBroadcasts) != 0;
    one.revocable = (flags & kRevocable) != 0;
    one.by_foreign_agent = (flags & kByForeignAgent) != 0;
    one.informs_mobile_node = (flags & kInforms) != 0;
    one.keepalive = in.number16();
    one.lifetime = in.number16();
    one.identification = in.number64();
    one.spi = in.number32();
    one.requested_from = in.endpoint();
    one.revocation_timestamp = in.number32();
    one.foreign_association = in.number32();
    one.registered = in.time();
    one.deadline = in.time();
    return one;
}

BoundNode read_node(Reader& in) {
    BoundNode node;
    node.home_address = in.address();
    node.node = in.text();
    const std::uint8_t dynamic = in.octet();
    if (dynamic > 1) in.fail();
    node.is_dynamic = dynamic != 0;
    const std::uint8_t count = in.octet();
    for (unsigned i = 0; i < count && !in.failed(); ++i) node.bindings.push_back(read_binding(in));
    return node;
}

std::string key_of(std::string_view agent, char kind, std::string_view name) {
    return std::string(agent) + '\n' + kind + '\n' + std::string(name);
}

}  // namespace

std::string record_key(std::string_view agent, const BoundNode& node) {
    return key_of(agent, kOfBindings, node.home_address.to_string());
}

std::string record_key(std::string_view agent, const PersistIdentification& state) {
    return key_of(agent, kOfIdentification, state.node + '\n' + std::to_string(state.spi));
}

std::vector<std::uint8_t> to_record(const BoundNode& node, const Clocks& clocks) {
    Bytes out;
    put8(out, kVersion);
    put_bytes(out, node.home_address.bytes);
    put_text(out, node.node);
    put8(out, node.is_dynamic ? 1 : 0);
    const std::size_t count = std::min(node.bindings.size(), kMostBindings);
    put8(out, static_cast<std::uint8_t>(count));
    for (std::size_t i = 0; i < count; ++i) put(out, node.bindings[i], clocks);
    return out;
}

std::vector<std::uint8_t> to_record(const PersistIdentification& state) {
    Bytes out;
    put8(out, kVersion);
    put_text(out, state.node);
    put32(out, state.spi);
    put64(out, state.state.last_timestamp);
    put32(out, state.state.next_nonce);
    return out;
}

std::optional<Kept> from_record(std::string_view key, ConstByteSpan record, const Clocks& clocks) {
    const std::size_t end = key.find('\n');
    if (end == std::string_view::npos || key.size() < end + 3 || key[end + 2] != '\n') {
        return std::nullopt;
    }
    Kept kept;
    kept.agent = key.substr(0, end);
    Reader in(record, clocks);
    if (in.octet() != kVersion) return std::nullopt;
    if (key[end + 1] == kOfBindings) {
        kept.what = read_node(in);
    } else if (key[end + 1] == kOfIdentification) {
        PersistIdentification state;
        state.node = in.text();
        state.spi = in.number32();
        state.state.last_timestamp = in.number64();
        state.state.next_nonce = in.number32();
        kept.what = std::move(state);
    } else {
        return std::nullopt;
    }
    if (!in.at_end()) return std::nullopt;
    return kept;
}

}  // namespace homeport::mip4
