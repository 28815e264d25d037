// SPDX-License-Identifier: BSD-3-Clause
#include "tools/traffic/sealer.hpp"

#include "tools/traffic/path.hpp"

namespace homeport::traffic {

using namespace ipsec;  // NOLINT(google-build-using-namespace): all of it is about ESP

std::vector<std::uint8_t> key_of(Algorithm algorithm) {
    const AlgorithmInfo& of = info(algorithm);
    std::vector<std::uint8_t> key(of.encryption_keying_length() + of.integrity_key_length);
    for (std::size_t i = 0; i < key.size(); ++i) key[i] = static_cast<std::uint8_t>(11 * i + 5);
    return key;
}

std::expected<std::unique_ptr<Sealer>, std::string> Sealer::create(Algorithm algorithm,
                                                                   std::vector<std::uint8_t> key) {
    std::unique_ptr<Sealer> sealer(new Sealer(algorithm, std::move(key)));
    if (auto built = sealer->build(); !built) return std::unexpected(built.error());
    return sealer;
}

std::expected<void, std::string> Sealer::build() {
    auto sad = SecurityAssociationDatabase::create({.lab_static_gcm = true}, reclaimer_);
    if (!sad) return std::unexpected(sad.error().text);
    sad_ = std::move(*sad);
    PolicyEntry entry;
    entry.id = 1;
    entry.action = Action::kProtect;
    entry.protect.mode = Mode::kTunnel;
    entry.protect.tunnel_local = kCareOf;
    entry.protect.tunnel_remote = kHomeAgent;
    if (auto done = spd_.replace({entry}); !done) return std::unexpected(done.error().text);
    auto engine = EspEngine::create(spd_, *sad_);
    if (!engine) return std::unexpected(engine.error().text);
    engine_ = std::move(*engine);
    return {};
}

std::expected<void, std::string> Sealer::choose(std::uint32_t spi, std::uint64_t first_sequence) {
    const AlgorithmInfo& algorithm = info(algorithm_);
    const ConstByteSpan key(key_);
    SaParameters sa;
    sa.direction = Direction::kOutbound;
    sa.spi = Spi{spi};
    sa.algorithm = algorithm_;
    sa.encryption_key = SecretBytes(key.first(algorithm.encryption_keying_length()));
    sa.integrity_key = SecretBytes(key.subspan(algorithm.encryption_keying_length()));
    sa.mode = Mode::kTunnel;
    sa.tunnel_local = kCareOf;
    sa.tunnel_remote = kHomeAgent;
    sa.policies = {{1, std::nullopt}};
    sa.first_sequence = first_sequence;
    if (handle_) sad_->remove(*handle_);
    auto added = sad_->add(sa);
    if (!added) return std::unexpected(added.error().text);
    handle_ = *added;
    return {};
}

std::expected<std::vector<std::uint8_t>, std::string> Sealer::seal(ConstByteSpan packet) {
    constexpr std::uint32_t kRoom = 128;
    std::vector<std::uint8_t> buffer(packet.size() + std::size_t{2} * kRoom);
    std::ranges::copy(packet, buffer.begin() + kRoom);
    Packet sealed{buffer.data() + kRoom, static_cast<std::uint32_t>(packet.size()), kRoom, kRoom};
    Packet* const pointer = &sealed;
    Verdict verdict{};
    engine_->outbound({&pointer, 1}, {&verdict, 1});
    if (verdict != Verdict::kOutProtect) return std::unexpected("a packet was not sealed");
    return std::vector<std::uint8_t>(sealed.data, sealed.data + sealed.length);
}

}  // namespace homeport::traffic
