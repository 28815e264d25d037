// SPDX-License-Identifier: BSD-3-Clause
// The far end of tunnel-mode SAs with AES-128-GCM: what a mobile node has of IPsec.
#pragma once

#include <memory>

#include "dataplane/ipsec/esp_engine.hpp"
#include "tests/golden/fixture.hpp"

namespace homeport::golden {

/// An IPsec with one policy, all through the tunnel. Keys are 00 to 0f, the salt is four octets
/// that count up from the one given.
class IpsecPeer {
  public:
    struct Sa {
        ipsec::Direction direction;
        std::uint32_t spi;  // host order
        std::uint8_t salt;
    };
    IpsecPeer(const IpAddress& local, const IpAddress& remote, std::initializer_list<Sa> sas)
        : local_(local), remote_(remote), spd_(reclaimer_) {
        ipsec::SecurityAssociationDatabase::Options options;
        options.max_associations = 8;
        sad_ = *ipsec::SecurityAssociationDatabase::create(options, reclaimer_);
        ipsec::PolicyEntry all;
        all.id = 1;
        all.action = ipsec::Action::kProtect;
        all.protect.mode = ipsec::Mode::kTunnel;
        all.protect.tunnel_local = local_;
        all.protect.tunnel_remote = remote_;
        EXPECT_TRUE(spd_.replace({all}));
        for (const Sa& sa : sas) add(sa);
        engine_ = *ipsec::EspEngine::create(spd_, *sad_);
    }

    /// Sealed, from `local` to `remote`.
    Bytes seal(const Bytes& packet) { return pass(packet, true); }
    /// What is inside; empty if it does not open.
    Bytes open(const Bytes& sealed) { return pass(sealed, false); }

  private:
    void add(const Sa& sa) {
        ipsec::SaParameters parameters;
        parameters.direction = sa.direction;
        parameters.spi = ipsec::Spi{sa.spi};
        parameters.algorithm = ipsec::Algorithm::kAes128Gcm16;
        Bytes key;
        for (std::uint8_t i = 0; i < 16; ++i) key.push_back(i);
        for (std::uint8_t i = 0; i < 4; ++i) key.push_back(static_cast<std::uint8_t>(sa.salt + i));
        parameters.encryption_key = ipsec::SecretBytes(key);
        parameters.mode = ipsec::Mode::kTunnel;
        parameters.tunnel_local = local_;
        parameters.tunnel_remote = remote_;
        const bool inbound = sa.direction == ipsec::Direction::kInbound;
        parameters.replay_window = inbound ? std::uint16_t{1024} : std::uint16_t{0};
        parameters.selectors = {ipsec::Selectors{}};
        parameters.policies = {{1, std::nullopt}};
        EXPECT_TRUE(sad_->add(parameters));
    }
    Bytes pass(const Bytes& packet, bool outbound) {
        Bytes room(packet.size() + 256);
        std::copy(packet.begin(), packet.end(), room.begin() + 128);
        ipsec::Packet view{room.data() + 128, static_cast<std::uint32_t>(packet.size()), 128, 128};
        std::array<ipsec::Packet*, 1> packets{&view};
        std::array<ipsec::Verdict, 1> verdicts{};
        outbound ? engine_->outbound(packets, verdicts) : engine_->inbound(packets, verdicts);
        if (!ipsec::passes(verdicts[0])) return {};
        return {view.data, view.data + view.length};
    }

    IpAddress local_;
    IpAddress remote_;
    ipsec::ImmediateReclaimer reclaimer_;
    ipsec::SecurityPolicyDatabase spd_;
    std::unique_ptr<ipsec::SecurityAssociationDatabase> sad_;
    std::unique_ptr<ipsec::EspEngine> engine_;
};

}  // namespace homeport::golden
