// SPDX-License-Identifier: BSD-3-Clause
// No user packet in the clear outside, ever. Random events: moves that the node sees and moves that
// it does not, silence of each peer, loss and delay of replies (also beyond a move), a firewall
// that fails, traffic in both directions, time. After each step, and for each packet in it:
//
//   S2.45  a change of the network stops user data at once
//   S2.48  nothing is inferred from answers of before a change
//   S2.50  no user data in the clear, either way, beyond T_MONITOR since the last answer
//   S2.52  packets that waited go with a change of the network, and never leave later
//   S2.77  whatever hints say
//   S2.96  what is not in the clear is in ESP, and only while all registrations hold (S2.47)
//
// What may be is judged by the facts of the world (which replies arrived when, for which place),
// not by the node's own state. HOMEPORT_PROPERTY_SEEDS: how many worlds, instead of 2500.
#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/unit/mobile-node/mip4_world.hpp"

namespace homeport::mobile_node {
namespace {

using namespace test_support;

constexpr unsigned kSteps = 100;

unsigned worlds() {
    const char* const text = std::getenv("HOMEPORT_PROPERTY_SEEDS");
    return text == nullptr ? 2500 : static_cast<unsigned>(std::stoul(text));
}

class Walk {
  public:
    Walk(std::shared_ptr<VpnEnds> ends, unsigned seed)
        : seed_(seed), random_(seed), world(std::move(ends), options()) {
        world.keeps_wire = false;
        world.look = [this](const World::OnWire& one) { leaves(one); };
        world.look_opened = [this](int id, std::optional<unsigned> number) { opened(id, number); };
        world.look_delivered = [this](const World::Injected& one) { arrives(one); };
    }

    void run() {
        for (step_ = 0; step_ < kSteps && !testing::Test::HasFailure(); ++step_) {
            step();
            check_accounts();
        }
    }

    unsigned clear = 0, sealed = 0, waited = 0;  // that the walks meet what they are about

  private:
    unsigned pick(unsigned count) { return static_cast<unsigned>(random_() % count); }

    WorldOptions options() {
        WorldOptions out;
        out.seed = seed_;
        out.interfaces = 1 + pick(2);
        out.lifetime = static_cast<std::uint16_t>(20 + pick(60));
        out.queue = pick(4) != 0;
        out.detection.monitor = seconds(10 + pick(3) * 25);
        out.detection.grace = seconds(2 + pick(5));
        if (pick(3) == 0) out.detection.idle_after = seconds(3 + pick(20));
        if (pick(4) == 0) out.detection.detect_period = milliseconds(0);
        if (pick(4) == 0) out.detection.profile = mip4::Profile::kDraft02;
        out.udp = static_cast<Mip4Udp>(pick(3));
        out.encapsulation = std::array{mip4::Encapsulation::kIpInIp, mip4::Encapsulation::kGre,
                                       mip4::Encapsulation::kMinimal}[pick(3)];
        out.esp_in_udp = pick(2) == 0;
        return out;
    }
    std::string where() const {
        return "seed " + std::to_string(seed_) + " step " + std::to_string(step_);
    }
    int interface() { return static_cast<int>(1 + pick(world.options_.interfaces)); }

    void step() {
        switch (pick(16)) {
            case 0:
            case 1:
                return move();
            case 2:  // S2.59: nobody tells
                return world.slip(interface());
            case 3:
                return toggle();
            case 4:
            case 5:
            case 6:
            case 7:
                return world.application_sends(++number_);
            case 8:
            case 9:
                (void)world.send_in_clear(interface(), ++number_);
                return;
            case 10:
                (void)world.send_by_vpn(interface(), ++number_);
                return;
            case 11:
                world.delay = milliseconds(pick(4) == 0 ? pick(4000) : pick(60));
                return;
            default:
                return world.pass(milliseconds(pick(3) == 0 ? pick(25'000) : pick(2500)));
        }
    }
    void toggle() {
        switch (pick(6)) {
            case 0:
                world.internal_silent = pick(2) == 0;
                return;
            case 1:
                world.external_silent = pick(3) == 0;
                return;
            case 2:
                world.gateway_silent = pick(3) == 0;
                return;
            case 3:
                world.loss = pick(3) == 0 ? 0.4 : 0;
                return;
            case 4:  // S2.77: hints, true or not
                return believe();
            default:
                // Without the firewall the internal home agent itself must keep out what is not
                // trusted; the draft has nothing else.
                world.firewall =
                    world.options_.detection.profile == mip4::Profile::kDraft02 || pick(3) != 0;
                return;
        }
    }
    void believe() {
        const auto belief = static_cast<mip4::Belief>(pick(3));
        world.path.perform(world.node.believe(interface(), belief, world.now), world.now);
    }
    // S2.45, S2.52.
    void move() {
        const int id = interface();
        const std::size_t before = world.path.queued();
        const auto flushed = world.counters[Counter::kQueueFlushed];
        const unsigned last = number_;
        const std::size_t waiting = world.path.queued(id);
        world.move(id, pick(5) == 0 ? nullptr : &kPlaces[pick(kPlaces.size())]);
        const auto gone = world.counters[Counter::kQueueFlushed] - flushed;
        EXPECT_EQ(gone, waiting) << where();
        EXPECT_EQ(world.path.queued(id), 0u) << where();
        if (world.options_.interfaces == 1) {
            EXPECT_EQ(gone, before) << where();
            EXPECT_EQ(world.path.queued(), 0u) << where();
            never_again_ = last;
        }
        EXPECT_EQ(world.node.user_data(id, world.now.steady), mip4::UserData::kNone) << where();
    }

    // Everything that the node puts on a wire comes by here.
    void leaves(const World::OnWire& one) {
        const auto number = World::user_number(one.packet);
        if (!number) return;
        ++clear;
        EXPECT_TRUE(world.may_be_clear(one.interface))
            << where() << ": packet " << *number << " in the clear at "
            << (world.interfaces[one.interface].place == nullptr
                    ? "no place"
                    : world.interfaces[one.interface].place->name);
        EXPECT_GT(*number, never_again_) << where() << ": it waited before the move";
    }
    // S2.47: user data by the VPN, while both registrations hold. Keepalives have no number.
    void opened(int id, std::optional<unsigned> number) {
        if (!number) return;
        ++sealed;
        EXPECT_TRUE(world.may_use_vpn(id)) << where() << ": packet " << *number << " by the VPN";
        EXPECT_GT(*number, never_again_) << where() << ": it waited before the move";
    }
    void arrives(const World::Injected& one) {
        if (one.clear) {
            bool any = false;
            for (const auto& [id, at] : world.interfaces) any |= world.may_be_clear(id);
            EXPECT_TRUE(any) << where() << ": packet " << one.number << " was taken in the clear";
            return;
        }
        bool any = false;
        for (const auto& [id, at] : world.interfaces) any |= world.may_use_vpn(id);
        EXPECT_TRUE(any) << where() << ": packet " << one.number << " was taken by the VPN";
    }

    // Each packet is somewhere, once.
    void check_accounts() {
        const auto count = [&](Counter counter) { return world.counters[counter]; };
        const std::uint64_t out =
            count(Counter::kTunnelSent) + count(Counter::kNativeSent) + world.path.queued() +
            count(Counter::kQueueFlushed) + count(Counter::kDropQueueExpired) +
            count(Counter::kDropQueueFull) + count(Counter::kDropNoBinding) +
            count(Counter::kDropTooBig) + count(Counter::kDropPolicyOut) + out_of_date();
        EXPECT_GE(out, count(Counter::kTunReceived)) << where();
        waited = static_cast<unsigned>(count(Counter::kQueueMonitor));
    }
    std::uint64_t out_of_date() const { return world.counters[Counter::kDropMonitor]; }

    unsigned seed_;
    std::mt19937 random_;
    unsigned step_ = 0;
    unsigned number_ = 0;
    unsigned never_again_ = 0;

  public:
    World world;
};

TEST(Mip4Property, S2_45_S2_48_S2_50_S2_52_S2_96_over_random_events) {
    KeyFiles files;
    const auto ends = std::make_shared<VpnEnds>(files);
    std::uint64_t clear = 0, sealed = 0, waited = 0, flushed = 0, failures = 0, late = 0;
    for (unsigned seed = 0; seed < worlds() && !HasFailure(); ++seed) {
        Walk walk(ends, seed);
        walk.run();
        clear += walk.clear;
        sealed += walk.sealed;
        waited += walk.waited;
        flushed += walk.world.counters[Counter::kQueueFlushed];
        late += walk.world.counters[Counter::kDropMonitor];
        failures += walk.world.counters[Counter::kVpnSetupFail];
    }
    // The walks have been where it is dangerous.
    EXPECT_GT(clear, worlds());
    EXPECT_GT(sealed, worlds());
    EXPECT_GT(waited, worlds() / 10);
    EXPECT_GT(flushed, worlds() / 10);
    EXPECT_GT(late, worlds() / 10);
    EXPECT_GT(failures, worlds() / 10);
    RecordProperty("clear", std::to_string(clear));
    std::printf(
        "%llu packets in the clear, %llu by the VPN, %llu waited, %llu flushed, %llu late, "
        "%llu failures of the VPN\n",
        static_cast<unsigned long long>(clear), static_cast<unsigned long long>(sealed),
        static_cast<unsigned long long>(waited), static_cast<unsigned long long>(flushed),
        static_cast<unsigned long long>(late), static_cast<unsigned long long>(failures));
}

}  // namespace
}  // namespace homeport::mobile_node
