// SPDX-License-Identifier: BSD-3-Clause
// Frames of mobile nodes whose payload is under ESP (P4), for the benchmark: sealed by this
// program's own engine, one SA a home address, with the SPIs of channel-client's `sas in`.
//
//   seal-frames OUT.pcap FRAMES SAS FIRST-HOME CARE-OF HOME-AGENT CORRESPONDENT ALGORITHM KEY-HEX
//               PORT-MAC PEER-MAC SIZE[,SIZE...]
//
// SIZE: octets of the frame that the packet inside would be. Homes come in random order. The file
// is played again and again, so the SAs that open it need their replay window off.
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <memory>
#include <numeric>
#include <optional>
#include <random>
#include <sstream>
#include <vector>

#include "dataplane/base/ip_header.hpp"
#include "dataplane/ipsec/esp_engine.hpp"
#include "dataplane/ipsec/sad.hpp"
#include "dataplane/ipsec/spd.hpp"

namespace {

using namespace homeport;         // NOLINT(google-build-using-namespace): a small program
using namespace homeport::ipsec;  // NOLINT(google-build-using-namespace)

[[noreturn]] void fail_with(const std::string& text) {
    std::cerr << "seal-frames: " << text << "\n";
    std::exit(1);
}

std::vector<std::uint8_t> from_hex(const std::string& text) {
    std::vector<std::uint8_t> bytes;
    for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
        bytes.push_back(static_cast<std::uint8_t>(std::stoi(text.substr(i, 2), nullptr, 16)));
    }
    return bytes;
}

Ipv6Address address(const std::string& text) {
    const auto parsed = Ipv6Address::parse(text);
    if (!parsed) fail_with("not an IPv6 address: " + text);
    return *parsed;
}

Ipv6Address nth(const Ipv6Address& first, std::uint32_t index) {
    Ipv6Address made = first;
    store_be64(made.bytes.data() + 8, first.low() + index);
    return made;
}

void put32(std::ostream& out, std::uint32_t value) {
    out.write(reinterpret_cast<const char*>(&value), sizeof value);
}

struct Wanted {
    std::uint32_t frames, associations;
    Ipv6Address first_home, care_of, home_agent, correspondent;
    Algorithm algorithm;
    std::vector<std::uint8_t> key;
    MacAddress port, peer;
    std::vector<std::uint32_t> sizes;
};

class Sealer {
  public:
    explicit Sealer(const Wanted& wanted) : wanted_(wanted) {
        auto sad = SecurityAssociationDatabase::create({.lab_static_gcm = true}, reclaimer_);
        if (!sad) fail_with(sad.error().text);
        sad_ = std::move(*sad);
        PolicyEntry entry;
        entry.id = 1;
        entry.action = Action::kProtect;
        entry.protect.mode = Mode::kTunnel;
        entry.protect.tunnel_local = wanted.care_of;
        entry.protect.tunnel_remote = wanted.home_agent;
        if (auto done = spd_.replace({entry}); !done) fail_with(done.error().text);
        auto engine = EspEngine::create(spd_, *sad_);
        if (!engine) fail_with(engine.error().text);
        engine_ = std::move(*engine);
    }

    /// From now on packets are those of home number `index`, whose numbers begin with 1.
    void choose(std::uint32_t index) {
        const AlgorithmInfo& algorithm = info(wanted_.algorithm);
        const ConstByteSpan key(wanted_.key);
        SaParameters sa;
        sa.direction = Direction::kOutbound;
        sa.spi = make_own_spi(1, 0, index);
        sa.algorithm = wanted_.algorithm;
        sa.encryption_key = SecretBytes(key.first(algorithm.encryption_keying_length()));
        sa.integrity_key = SecretBytes(key.subspan(algorithm.encryption_keying_length()));
        sa.mode = Mode::kTunnel;
        sa.tunnel_local = wanted_.care_of;
        sa.tunnel_remote = wanted_.home_agent;
        sa.policies = {{1, std::nullopt}};
        if (handle_) sad_->remove(*handle_);
        auto added = sad_->add(sa);
        if (!added) fail_with(added.error().text);
        handle_ = *added;
        home_ = nth(wanted_.first_home, index);
    }

    std::vector<std::uint8_t> frame(std::uint32_t size) {
        constexpr std::uint32_t kRoom = 128;
        const std::uint32_t length = std::max<std::uint32_t>(size - 14, sizeof(Ipv6Header));
        std::vector<std::uint8_t> buffer(length + std::size_t{2} * kRoom);
        auto* header = reinterpret_cast<Ipv6Header*>(buffer.data() + kRoom);
        header->set_version_class_flow(0, 0);
        header->payload_length = Be16(static_cast<std::uint16_t>(length - sizeof(Ipv6Header)));
        header->next_header = number(IpProtocol::kNoNextHeader);
        header->hop_limit = 64;
        header->source = home_;
        header->destination = wanted_.correspondent;
        Packet packet{buffer.data() + kRoom, length, kRoom, kRoom};
        Packet* const pointer = &packet;
        Verdict verdict{};
        engine_->outbound({&pointer, 1}, {&verdict, 1});
        if (verdict != Verdict::kOutProtect) fail_with("a packet was not sealed");
        std::vector<std::uint8_t> made(14);
        wanted_.port.store(made.data());
        wanted_.peer.store(made.data() + 6);
        store_be16(made.data() + 12, 0x86dd);
        made.insert(made.end(), packet.data, packet.data + packet.length);
        return made;
    }

  private:
    const Wanted& wanted_;
    ImmediateReclaimer reclaimer_;
    SecurityPolicyDatabase spd_{reclaimer_};
    std::unique_ptr<SecurityAssociationDatabase> sad_;
    std::unique_ptr<EspEngine> engine_;
    std::optional<SaHandle> handle_;
    Ipv6Address home_;
};

Wanted wanted_of(char** words) {
    const auto algorithm = parse_algorithm(words[8]);
    const auto port = MacAddress::parse(words[10]);
    const auto peer = MacAddress::parse(words[11]);
    if (!algorithm || !port || !peer) fail_with("not an algorithm or a MAC address");
    Wanted wanted{static_cast<std::uint32_t>(std::stoul(words[2])),
                  static_cast<std::uint32_t>(std::stoul(words[3])),
                  address(words[4]),
                  address(words[5]),
                  address(words[6]),
                  address(words[7]),
                  *algorithm,
                  from_hex(words[9]),
                  *port,
                  *peer,
                  {}};
    std::istringstream sizes(words[12]);
    for (std::string size; std::getline(sizes, size, ',');) {
        wanted.sizes.push_back(static_cast<std::uint32_t>(std::stoul(size)));
    }
    const AlgorithmInfo& of = info(*algorithm);
    if (wanted.key.size() != of.encryption_keying_length() + of.integrity_key_length ||
        wanted.associations == 0 || wanted.sizes.empty()) {
        fail_with("the key's length, SAS or SIZE");
    }
    return wanted;
}

void write_pcap(const std::string& path, const std::vector<std::vector<std::uint8_t>>& frames) {
    std::ofstream out(path, std::ios::binary);
    for (const std::uint32_t word : {0xa1b2c3d4u, 4u << 16 | 2u, 0u, 0u, 65535u, 1u}) {
        put32(out, word);
    }
    for (const auto& frame : frames) {
        put32(out, 0);
        put32(out, 0);
        put32(out, static_cast<std::uint32_t>(frame.size()));
        put32(out, static_cast<std::uint32_t>(frame.size()));
        out.write(reinterpret_cast<const char*>(frame.data()),
                  static_cast<std::streamsize>(frame.size()));
    }
    if (!out.flush()) fail_with("cannot write " + path);
}

}  // namespace

int main(int count, char** words) {
    if (count != 13) {
        std::cerr << "usage: seal-frames OUT.pcap FRAMES SAS FIRST-HOME CARE-OF HOME-AGENT "
                     "CORRESPONDENT ALGORITHM KEY-HEX PORT-MAC PEER-MAC SIZE[,SIZE...]\n";
        return 2;
    }
    const Wanted wanted = wanted_of(words);
    std::vector<std::uint32_t> order(wanted.associations);
    std::iota(order.begin(), order.end(), 0u);
    std::ranges::shuffle(order, std::mt19937(1));
    Sealer sealer(wanted);
    std::vector<std::vector<std::uint8_t>> frames(wanted.frames);
    for (std::size_t place = 0; place < order.size(); ++place) {
        sealer.choose(order[place]);
        for (std::size_t i = place; i < frames.size(); i += order.size()) {
            frames[i] = sealer.frame(wanted.sizes[i % wanted.sizes.size()]);
        }
    }
    write_pcap(words[1], frames);
    return 0;
}
