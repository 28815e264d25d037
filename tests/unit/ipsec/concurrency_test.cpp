// SPDX-License-Identifier: BSD-3-Clause
// One writer and several readers of the databases at once; clean under ThreadSanitizer.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "dataplane/ipsec/recent_associations.hpp"
#include "dataplane/ipsec/sa.hpp"
#include "tests/unit/ipsec/support.hpp"

namespace homeport::ipsec {
namespace {

using test::Buffer;
using test::Bytes;

/// Waits until every reader has passed a quiescent state, as the data plane's scheme does, but in
/// batches and on the writer's thread.
class QuiescentReclaimer final : public Reclaimer {
  public:
    static constexpr std::size_t kReaders = 3;

    void retire(void* object, Deleter deleter, void* owner) override {
        waiting_.push_back({object, deleter, owner});
        if (waiting_.size() >= 512) drain();
    }
    void quiescent(std::size_t reader) {
        passed_[reader].store(epoch_.load(std::memory_order_acquire), std::memory_order_release);
    }
    void leave(std::size_t reader) { passed_[reader].store(~0ull, std::memory_order_release); }
    void drain() {
        const std::uint64_t epoch = epoch_.fetch_add(1, std::memory_order_acq_rel) + 1;
        for (auto& reader : passed_) {
            while (reader.load(std::memory_order_acquire) < epoch) std::this_thread::yield();
        }
        for (const auto& w : waiting_) w.deleter(w.object, w.owner);
        waiting_.clear();
    }

  private:
    struct Waiting {
        void* object;
        Deleter deleter;
        void* owner;
    };
    std::vector<Waiting> waiting_;
    std::atomic<std::uint64_t> epoch_{0};
    std::atomic<std::uint64_t> passed_[kReaders]{};
};

/// Waits until `condition`; false if it takes half a minute.
template <class Condition>
bool comes_true(Condition condition) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!condition()) {
        if (std::chrono::steady_clock::now() > end) return false;
        std::this_thread::yield();
    }
    return true;
}

IpAddress home(unsigned n) {
    Ipv6Address address = std::get<Ipv6Address>(test::ip("2001:db8:1::"));
    store_be32(address.bytes.data() + 12, n);
    return address;
}

std::vector<PolicyEntry> policies(bool longer) {
    PolicyEntry bypass;
    bypass.id = 1;
    bypass.selectors.protocol = ProtocolSelector::of(IpProtocol::kIcmpv6);
    bypass.action = Action::kBypass;
    PolicyEntry entry = test::protect_all(6);
    entry.protect.populate_remote = true;
    if (longer) return {bypass, entry};
    return {entry};
}

SaParameters parameters(Direction direction, std::uint32_t spi, unsigned n) {
    const test::Pair pair{.algorithm = Algorithm::kAes128Gcm16, .spi = Spi{spi}};
    SaParameters p = direction == Direction::kOutbound ? test::outbound_parameters(pair)
                                                       : test::inbound_parameters(pair);
    p.policies = {{6, home(n)}};
    return p;
}

TEST(Concurrency, readers_find_stable_sas_while_others_come_and_go) {
    constexpr unsigned kStable = 40;
    constexpr int kRounds = 100;
    QuiescentReclaimer reclaimer;
    SecurityPolicyDatabase spd(reclaimer);
    auto sad = std::move(*SecurityAssociationDatabase::create({.own_slots = 64}, reclaimer));
    for (std::size_t reader = 0; reader < QuiescentReclaimer::kReaders; ++reader)
        reclaimer.leave(reader);
    ASSERT_TRUE(spd.replace(policies(false)));
    for (unsigned i = 0; i < kStable; ++i) {
        ASSERT_TRUE(sad->add(parameters(Direction::kOutbound, 1000 + i, i)));
        ASSERT_TRUE(sad->add(parameters(Direction::kInbound, 1000 + i, i)));
    }
    std::atomic<bool> stop{false};
    std::atomic<unsigned> ready{0};
    std::vector<std::thread> readers;
    for (std::size_t reader = 0; reader < QuiescentReclaimer::kReaders; ++reader) {
        readers.emplace_back([&, reader] {
            auto engine = std::move(*EspEngine::create(spd, *sad));
            const DatabaseQueries queries(spd, *sad);
            reclaimer.quiescent(reader);
            ++ready;
            // Each reader owns its share of the SAs, and looks for all others.
            for (unsigned turn = 0; !stop.load(std::memory_order_relaxed); ++turn) {
                const unsigned mine =
                    static_cast<unsigned>(reader + turn * QuiescentReclaimer::kReaders) % 39;
                const unsigned own = mine - mine % 3 + static_cast<unsigned>(reader);
                Buffer buffer(test::udp({.destination = to_string(home(own))}));
                buffer.packet.flow = own;
                Packet* packet = &buffer.packet;
                Verdict verdict{};
                engine->outbound({&packet, 1}, {&verdict, 1});
                EXPECT_EQ(verdict, Verdict::kOutProtect);
                engine->inbound({&packet, 1}, {&verdict, 1});
                EXPECT_EQ(verdict, Verdict::kInOk);
                for (unsigned i = 0; i < kStable; ++i) {
                    EXPECT_NE(sad->find_outbound(6, home(i)), nullptr);
                    const SecurityAssociation* in = sad->find_inbound(Spi{1000 + i});
                    EXPECT_TRUE(in != nullptr && in->spi.value == 1000 + i);
                }
                for (unsigned i = 0; i < 80; ++i) {
                    const SpiAnswers answers = queries.spi_for_policy(6, home(kStable + i));
                    if (answers.count != 0) {
                        EXPECT_GE(answers.answers[0].spi.value, 5000u);
                    }
                    (void)queries.selectors_for_spi(make_own_spi(0, 0, i));
                }
                reclaimer.quiescent(reader);
            }
            reclaimer.leave(reader);
        });
    }
    while (ready.load() < QuiescentReclaimer::kReaders) std::this_thread::yield();
    std::uint32_t spi = 5000;
    for (int round = 0; round < kRounds; ++round) {
        std::vector<SaHandle> handles;
        for (unsigned i = 0; i < 8; ++i) {
            const unsigned n = kStable + (static_cast<unsigned>(round) * 8 + i) % 80;
            handles.push_back(*sad->add(parameters(Direction::kOutbound, ++spi, n)));
            handles.push_back(*sad->add(parameters(Direction::kOutbound, ++spi, n)));  // a rekey
            handles.push_back(*sad->add(parameters(Direction::kInbound, ++spi, n)));
            handles.push_back(
                *sad->add(parameters(Direction::kInbound, make_own_spi(0, 0, i).value, n)));
        }
        ASSERT_TRUE(spd.replace(policies(round % 2 == 0)));
        for (const SaHandle handle : handles) {
            ASSERT_TRUE(sad->status(handle));
            ASSERT_TRUE(sad->remove(handle));
        }
    }
    stop = true;
    for (std::thread& reader : readers) reader.join();
    reclaimer.drain();
    std::uint64_t packets = 0;
    for (const SaHandle handle : sad->handles()) {
        const SaStatus status = *sad->status(handle);
        EXPECT_EQ(status.errors.replay + status.errors.icv, 0u);
        packets += status.packets;
    }
    EXPECT_GT(packets, 0u);
    sad.reset();
    reclaimer.drain();
}

// The SA that an engine remembers for a flow goes, and its memory with it, while packets come.
TEST(Concurrency, an_sa_that_a_flow_was_sealed_by_goes_while_packets_come) {
    constexpr unsigned kFlow = 3;
    constexpr int kRounds = 20;
    QuiescentReclaimer reclaimer;
    SecurityPolicyDatabase spd(reclaimer);
    auto sad = std::move(*SecurityAssociationDatabase::create({.own_slots = 64}, reclaimer));
    for (std::size_t reader = 0; reader < QuiescentReclaimer::kReaders; ++reader)
        reclaimer.leave(reader);
    ASSERT_TRUE(spd.replace(policies(false)));
    std::atomic<bool> stop{false};
    std::atomic<std::uint32_t> spi{0};  // of the last packet; 0: there was no SA
    std::atomic<std::uint64_t> bursts{0};
    std::thread reader([&] {
        auto engine = std::move(*EspEngine::create(spd, *sad));
        const Bytes bytes = test::udp({.destination = to_string(home(kFlow))});
        while (!stop.load(std::memory_order_relaxed)) {
            Buffer buffer(bytes);
            buffer.packet.flow = kFlow;
            Packet* packet = &buffer.packet;
            Verdict verdict{};
            engine->outbound({&packet, 1}, {&verdict, 1});
            const bool sealed = verdict == Verdict::kOutProtect;
            EXPECT_TRUE(sealed || verdict == Verdict::kOutNoSa);
            spi.store(sealed ? load_be32(buffer.packet.data + 40) : 0);
            ++bursts;
            reclaimer.quiescent(0);
        }
        reclaimer.leave(0);
    });
    for (int round = 1; round <= kRounds && !testing::Test::HasFailure(); ++round) {
        const auto number = 5000 + static_cast<std::uint32_t>(round);
        const auto handle = sad->add(parameters(Direction::kOutbound, number, kFlow));
        if (!handle) {
            ADD_FAILURE() << handle.error().text;
            break;
        }
        EXPECT_TRUE(comes_true([&] { return spi.load() == number; }));
        const std::uint64_t begin = bursts.load();
        EXPECT_TRUE(comes_true([&] {  // it is remembered by then
            return bursts.load() > begin + 2 * RecentAssociations::kCalmBursts;
        }));
        EXPECT_TRUE(sad->remove(*handle));
        reclaimer.drain();  // wiped, and free for the next
        EXPECT_TRUE(comes_true([&] { return spi.load() == 0; }));
    }
    stop = true;
    reader.join();
    sad.reset();
    reclaimer.drain();
}

}  // namespace
}  // namespace homeport::ipsec
