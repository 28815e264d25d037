// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/ipsec/support.hpp"

#include <cstdlib>
#include <cstring>
#include <stdexcept>

#include "dataplane/base/checksum.hpp"
#include "dataplane/base/ip_header.hpp"
#include "dataplane/ipsec/cipher_burst.hpp"

namespace homeport::ipsec::test {

Bytes unhex(std::string_view text) {
    Bytes bytes;
    for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
        bytes.push_back(
            static_cast<std::uint8_t>(std::stoi(std::string(text.substr(i, 2)), nullptr, 16)));
    }
    return bytes;
}

std::string hex(ConstByteSpan bytes) {
    static constexpr char kDigits[] = "0123456789abcdef";
    std::string text;
    for (const std::uint8_t byte : bytes) {
        text += kDigits[byte >> 4];
        text += kDigits[byte & 15];
    }
    return text;
}

Bytes joined(std::initializer_list<Bytes> parts) {
    Bytes all;
    for (const Bytes& part : parts) all.insert(all.end(), part.begin(), part.end());
    return all;
}

Buffer::Buffer(const Bytes& packet_bytes, std::uint32_t room)
    : storage_(packet_bytes.size() + 2 * std::size_t{room}) {
    std::copy(packet_bytes.begin(), packet_bytes.end(), storage_.begin() + room);
    packet = {storage_.data() + room, static_cast<std::uint32_t>(packet_bytes.size()), room, room};
}

namespace {

/// A whole run of the tests may be told to use less than this CPU has.
SecurityAssociationDatabase::Options with_wanted_architecture(
    SecurityAssociationDatabase::Options options) {
    const char* const wanted = std::getenv("HOMEPORT_TEST_CRYPTO_CPU");
    if (wanted == nullptr || options.architecture != CpuArchitecture::kAuto) return options;
    const auto architecture = parse_cpu_architecture(wanted);
    if (!architecture) throw std::runtime_error("HOMEPORT_TEST_CRYPTO_CPU: " + std::string(wanted));
    options.architecture = *architecture;
    return options;
}

}  // namespace

Host::Host(const SecurityAssociationDatabase::Options& options) : spd(reclaimer) {
    auto made = SecurityAssociationDatabase::create(with_wanted_architecture(options), reclaimer);
    if (!made) throw std::runtime_error(made.error().text);
    sad = std::move(*made);
    auto worker = EspEngine::create(spd, *sad);
    if (!worker) throw std::runtime_error(worker.error().text);
    engine = std::move(*worker);
}

Verdict Host::out(Buffer& buffer) {
    Packet* packet = &buffer.packet;
    Verdict verdict{};
    engine->outbound({&packet, 1}, {&verdict, 1});
    return verdict;
}

Verdict Host::in(Buffer& buffer) {
    Packet* packet = &buffer.packet;
    Verdict verdict{};
    engine->inbound({&packet, 1}, {&verdict, 1});
    return verdict;
}

SaHandle Host::add(const SaParameters& parameters) {
    auto handle = sad->add(parameters);
    if (!handle) throw std::runtime_error(handle.error().text);
    return *handle;
}

void Host::policies(std::vector<PolicyEntry> entries) {
    if (auto done = spd.replace(std::move(entries)); !done)
        throw std::runtime_error(done.error().text);
}

Bytes ipv6(std::string_view source, std::string_view destination, std::uint8_t next_header,
           const Bytes& payload) {
    Bytes packet(40);
    auto* header = reinterpret_cast<Ipv6Header*>(packet.data());
    header->set_version_class_flow(0, 0);
    header->payload_length = Be16(static_cast<std::uint16_t>(payload.size()));
    header->next_header = next_header;
    header->hop_limit = 63;
    header->source = std::get<Ipv6Address>(ip(source));
    header->destination = std::get<Ipv6Address>(ip(destination));
    packet.insert(packet.end(), payload.begin(), payload.end());
    return packet;
}

Bytes ipv4(std::string_view source, std::string_view destination, std::uint8_t protocol,
           const Bytes& payload, std::uint16_t flags_offset, const Bytes& options) {
    Bytes packet(20);
    packet.insert(packet.end(), options.begin(), options.end());
    const std::size_t header_length = packet.size();
    auto* header = reinterpret_cast<Ipv4Header*>(packet.data());
    header->version_ihl = static_cast<std::uint8_t>(0x40 | header_length / 4);
    header->total_length = Be16(static_cast<std::uint16_t>(header_length + payload.size()));
    header->identification = Be16(0x1111);
    header->flags_offset = Be16(flags_offset);
    header->ttl = 63;
    header->protocol = protocol;
    header->source = std::get<Ipv4Address>(ip(source));
    header->destination = std::get<Ipv4Address>(ip(destination));
    header->checksum = Be16(internet_checksum(packet));
    packet.insert(packet.end(), payload.begin(), payload.end());
    return packet;
}

Bytes udp(const Udp& p) {
    Bytes payload(8);
    store_be16(payload.data(), p.source_port);
    store_be16(payload.data() + 2, p.destination_port);
    store_be16(payload.data() + 4, static_cast<std::uint16_t>(8 + p.payload));
    const Bytes data = pattern(p.payload, 0x61);
    payload.insert(payload.end(), data.begin(), data.end());
    const std::uint8_t protocol = number(IpProtocol::kUdp);
    if (std::holds_alternative<Ipv4Address>(ip(p.source))) {
        Bytes packet =
            ipv4(p.source, p.destination, protocol, payload, p.dont_fragment ? 0x4000 : 0);
        packet[1] = p.traffic_class;
        store_be16(packet.data() + 10, 0);
        store_be16(packet.data() + 10, internet_checksum(ConstByteSpan(packet).first(20)));
        return packet;
    }
    Bytes packet = ipv6(p.source, p.destination, protocol, payload);
    reinterpret_cast<Ipv6Header*>(packet.data())->set_version_class_flow(p.traffic_class, 0);
    return packet;
}

Bytes mh(std::string_view source, std::string_view destination, std::uint8_t type) {
    Bytes message = pattern(16, 0);
    message[0] = 59;
    message[1] = 1;
    message[2] = type;
    return ipv6(source, destination, number(IpProtocol::kMobility), message);
}

Bytes icmpv6(std::string_view source, std::string_view destination, std::uint8_t type,
             std::uint8_t code) {
    Bytes message = pattern(16, 0);
    message[0] = type;
    message[1] = code;
    return ipv6(source, destination, number(IpProtocol::kIcmpv6), message);
}

Bytes pattern(std::size_t length, std::uint8_t seed) {
    Bytes bytes(length);
    for (std::size_t i = 0; i < length; ++i) bytes[i] = static_cast<std::uint8_t>(seed + i * 7);
    return bytes;
}

SaParameters outbound_parameters(const Pair& pair) {
    const AlgorithmInfo& algorithm = info(pair.algorithm);
    SaParameters p;
    p.direction = Direction::kOutbound;
    p.spi = pair.spi;
    p.algorithm = pair.algorithm;
    const auto seed = static_cast<std::uint8_t>(pair.spi.value);
    p.encryption_key = SecretBytes(pattern(algorithm.encryption_keying_length(), seed));
    p.integrity_key =
        SecretBytes(pattern(algorithm.integrity_key_length, static_cast<std::uint8_t>(seed + 128)));
    p.mode = pair.mode;
    if (pair.mode == Mode::kTunnel) {
        p.tunnel_local = ip(pair.tunnel_from);
        p.tunnel_remote = ip(pair.tunnel_to);
    }
    p.esn = pair.esn;
    p.replay_window = pair.replay_window;
    p.first_sequence = pair.first_sequence;
    p.policies = {{pair.policy, std::nullopt}};
    return p;
}

SaParameters inbound_parameters(const Pair& pair) {
    SaParameters p = outbound_parameters(pair);
    p.direction = Direction::kInbound;
    std::swap(p.tunnel_local, p.tunnel_remote);
    p.selectors = {Selectors{}};
    return p;
}

PolicyEntry protect_all(PolicyId id, Mode mode) {
    PolicyEntry entry;
    entry.id = id;
    entry.name = "all";
    entry.action = Action::kProtect;
    entry.protect.mode = mode;
    if (mode == Mode::kTunnel) {
        entry.protect.tunnel_local = ip("2001:db8:1::1");
        entry.protect.tunnel_remote = ip("2001:db8:1::100");
    }
    return entry;
}

Link::Link(const Pair& pair, const SecurityAssociationDatabase::Options& options)
    : sender(options), receiver(options) {
    sender.policies({protect_all(pair.policy, pair.mode)});
    receiver.policies({protect_all(pair.policy, pair.mode)});
    out = sender.add(outbound_parameters(pair));
    in = receiver.add(inbound_parameters(pair));
}

Bytes Link::seal(const Bytes& packet) {
    Buffer buffer(packet);
    const Verdict verdict = sender.out(buffer);
    if (verdict != Verdict::kOutProtect)
        throw std::runtime_error(std::string(counter_name(verdict)));
    return buffer.bytes();
}

Bytes seal_raw(const Pair& pair, const Bytes& text, std::uint32_t sequence) {
    Host host;
    host.add(outbound_parameters(pair));
    CpuArchitecture architecture = host.sad->architecture();
    const MbManager manager = std::move(*make_mb_manager(architecture));
    const AlgorithmInfo& algorithm = info(pair.algorithm);
    Bytes esp(8u + algorithm.iv_length);
    store_be32(esp.data(), pair.spi.value);
    store_be32(esp.data() + 4, sequence);
    if (algorithm.is_counter_mode()) store_be64(esp.data() + 8, sequence);
    esp = joined({esp, text, Bytes(algorithm.icv_length)});
    CipherWork work{};
    CipherTag tag{};
    work.sa = host.sad->find_outbound(pair.policy, std::nullopt);
    work.esp = esp.data();
    work.text_offset = static_cast<std::uint8_t>(8u + algorithm.iv_length);
    work.text_length = static_cast<std::uint32_t>(text.size());
    work.sequence = sequence;
    if (algorithm.is_counter_mode()) {
        const SaParameters p = outbound_parameters(pair);
        const ConstByteSpan keying = p.encryption_key.view();
        std::copy(keying.end() - 4, keying.end(), work.nonce);
        std::copy_n(esp.begin() + 8, 8, work.nonce + 4);
        std::copy_n(esp.begin(), 8, work.aad);
        work.aad_length = 8;
    }
    CipherBurst(*manager).seal(&work, &tag, 1);
    return ipv6("2001:db8:1::1", "2001:db8:1::100", 50, esp);
}

Bytes with_trailer(Bytes payload, std::size_t block, std::uint8_t next_header) {
    std::uint8_t padding = 0;
    while ((payload.size() + 2) % block != 0) payload.push_back(++padding);
    payload.push_back(padding);
    payload.push_back(next_header);
    return payload;
}

}  // namespace homeport::ipsec::test
