// SPDX-License-Identifier: BSD-3-Clause
// links: esp
// Arbitrary packets into IPsec, both ways; and arbitrary text inside an authentic ESP packet, so
// that what comes behind the integrity check is reached too.
#include <algorithm>
#include <array>
#include <cstdlib>
#include <vector>

#include "dataplane/base/ip_header.hpp"
#include "dataplane/ipsec/cipher_burst.hpp"
#include "dataplane/ipsec/esp_engine.hpp"

namespace {

using namespace homeport;         // NOLINT(google-build-using-namespace): a small program
using namespace homeport::ipsec;  // NOLINT(google-build-using-namespace)

constexpr std::uint32_t kRoom = 128;
constexpr std::array kAlgorithms = {Algorithm::kAes128Gcm16, Algorithm::kAes128CbcSha1_96,
                                    Algorithm::kNullSha256_128};

SaParameters parameters(Direction direction, std::size_t kind, Mode mode) {
    const AlgorithmInfo& algorithm = info(kAlgorithms[kind]);
    SaParameters p;
    p.direction = direction;
    p.spi = Spi{0x41414100u + static_cast<std::uint32_t>(2 * kind) + (mode == Mode::kTunnel)};
    p.algorithm = algorithm.algorithm;
    p.encryption_key =
        SecretBytes(std::vector<std::uint8_t>(algorithm.encryption_keying_length(), 1));
    p.integrity_key = SecretBytes(std::vector<std::uint8_t>(algorithm.integrity_key_length, 2));
    p.mode = mode;
    if (mode == Mode::kTunnel) {
        p.tunnel_local = Ipv6Address{{0x20, 1}};
        p.tunnel_remote = Ipv6Address{{0x20, 2}};
    }
    p.replay_window = 0;
    p.selectors = {Selectors{}};
    p.policies = {{static_cast<PolicyId>(2 * kind + (mode == Mode::kTunnel)), std::nullopt}};
    return p;
}

struct Target {
    ImmediateReclaimer reclaimer;
    SecurityPolicyDatabase spd{reclaimer};
    std::unique_ptr<SecurityAssociationDatabase> sad =
        std::move(*SecurityAssociationDatabase::create({}, reclaimer));
    std::unique_ptr<EspEngine> engine;
    CpuArchitecture architecture = sad->architecture();
    MbManager manager = std::move(*make_mb_manager(architecture));

    Target() {
        for (std::size_t kind = 0; kind < kAlgorithms.size(); ++kind) {
            for (const Mode mode : {Mode::kTransport, Mode::kTunnel}) {
                if (!sad->add(parameters(Direction::kOutbound, kind, mode)) ||
                    !sad->add(parameters(Direction::kInbound, kind, mode))) {
                    std::abort();
                }
            }
        }
        engine = std::move(*EspEngine::create(spd, *sad));
    }

    void protect_with(PolicyId id) {
        PolicyEntry entry;
        entry.id = id;
        entry.action = Action::kProtect;
        if (!spd.replace({entry})) std::abort();
    }
};

struct Wire {
    explicit Wire(ConstByteSpan bytes) : storage(bytes.size() + 2 * kRoom) {
        std::copy(bytes.begin(), bytes.end(), storage.begin() + kRoom);
        packet = {storage.data() + kRoom, static_cast<std::uint32_t>(bytes.size()), kRoom, kRoom};
    }
    std::vector<std::uint8_t> storage;
    Packet packet;
};

Verdict inbound(Target& target, Packet& packet) {
    Packet* one = &packet;
    Verdict verdict{};
    target.engine->inbound({&one, 1}, {&verdict, 1});
    if (passes(verdict) && packet.headroom + packet.length + packet.tailroom > 2 * kRoom + 70000) {
        std::abort();
    }
    return verdict;
}

/// What is sealed must come out again as it was.
void there_and_back(Target& target, std::size_t choice, ConstByteSpan data) {
    target.protect_with(static_cast<PolicyId>(choice % (2 * kAlgorithms.size())));
    Wire wire(data);
    Packet* one = &wire.packet;
    Verdict verdict{};
    target.engine->outbound({&one, 1}, {&verdict, 1});
    if (verdict != Verdict::kOutProtect) return;
    const Verdict opened = inbound(target, wire.packet);
    // An upper layer named 59 reads as a dummy packet.
    if (opened == Verdict::kInDummy) return;
    // Transport mode of an extension header chain that is cut off behind ESP opens as malformed
    // only if it was malformed before, and then it is not sealed.
    if (opened != Verdict::kInOk || wire.packet.length > data.size()) std::abort();
    for (std::size_t i = 0; i < wire.packet.length; ++i) {
        const bool checksum = data[0] >> 4 == 4 && (i == 10 || i == 11);
        if (!checksum && wire.packet.data[i] != data[i]) std::abort();
    }
}

void authentic_text(Target& target, std::size_t choice, ConstByteSpan text) {
    const std::size_t kind = choice % kAlgorithms.size();
    const AlgorithmInfo& algorithm = info(kAlgorithms[kind]);
    const std::size_t usable = text.size() / algorithm.block * algorithm.block;
    if (usable == 0) return;
    const auto id = static_cast<PolicyId>(2 * kind + (choice >> 4 & 1));
    std::vector<std::uint8_t> esp(40 + 8u + algorithm.iv_length + usable + algorithm.icv_length +
                                  8);
    CipherWork work{};
    CipherTag tag{};
    work.sa = target.sad->find_outbound(id, std::nullopt);
    work.esp = esp.data() + 40;
    store_be32(work.esp, work.sa->spi.value);
    store_be32(work.esp + 4, 1);
    work.text_offset = static_cast<std::uint8_t>(8u + algorithm.iv_length);
    work.text_length = static_cast<std::uint32_t>(usable);
    std::copy_n(text.begin(), usable, work.text());
    std::copy_n(work.esp, 8, work.aad);
    work.aad_length = 8;
    std::fill_n(work.nonce, 4, std::uint8_t{1});
    CipherBurst(*target.manager).seal(&work, &tag, 1);
    auto* header = reinterpret_cast<Ipv6Header*>(esp.data());
    header->set_version_class_flow(3, 0);
    header->payload_length = Be16(static_cast<std::uint16_t>(esp.size() - 48));
    header->next_header = 50;
    Wire wire(ConstByteSpan(esp).first(esp.size() - 8));
    if (inbound(target, wire.packet) == Verdict::kInIcv) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static Target target;
    if (size < 2) return 0;
    const ConstByteSpan rest(data + 2, size - 2);
    switch (data[0] % 3) {
        case 0: {
            Wire wire(rest);
            (void)inbound(target, wire.packet);
            break;
        }
        case 1:
            there_and_back(target, data[1], rest);
            break;
        default:
            authentic_text(target, data[1], rest);
            break;
    }
    return 0;
}
