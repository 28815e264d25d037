// SPDX-License-Identifier: BSD-3-Clause
// Bursts of mixed SAs and algorithms; and that a burst takes no memory from the heap.
#include <gtest/gtest.h>

#include <cstdlib>
#include <new>
#include <random>

#include "dataplane/base/sanitizers.hpp"
#include "tests/unit/ipsec/support.hpp"

// The sanitizers bring an allocator of their own.
#ifndef HOMEPORT_SANITIZED

namespace {

thread_local bool counting = false;
thread_local unsigned allocations = 0;

void count() {
    if (counting) ++allocations;
}

}  // namespace

// All ways to the heap end in malloc and its relatives; these stand before the C library's.
extern "C" {
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* old, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);
void* malloc(std::size_t size) {
    count();
    return __libc_malloc(size);
}
void* calloc(std::size_t number, std::size_t size) {
    count();
    return __libc_calloc(number, size);
}
void* realloc(void* old, std::size_t size) {
    count();
    return __libc_realloc(old, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) {
    count();
    return __libc_memalign(alignment, size);
}
}

#endif

namespace homeport::ipsec {
namespace {

using test::Buffer;
using test::Bytes;
using test::Host;

IpAddress home(unsigned n) {
    Ipv6Address address = std::get<Ipv6Address>(test::ip("2001:db8:1::"));
    store_be32(address.bytes.data() + 12, n);
    return address;
}

/// `count` SAs, one for each home address, of all algorithms and both modes in turn.
struct Mixed {
    explicit Mixed(unsigned count) {
        PolicyEntry entry = test::protect_all(6);
        entry.protect.populate_remote = true;
        sender.policies({entry});
        const auto algorithms = all_algorithms();
        for (unsigned i = 0; i < count; ++i) {
            const test::Pair pair{.algorithm = algorithms[i % algorithms.size()].algorithm,
                                  .mode = i % 3 == 0 ? Mode::kTransport : Mode::kTunnel,
                                  .spi = Spi{1000 + i},
                                  .esn = i % 2 == 0};
            SaParameters out = test::outbound_parameters(pair);
            out.policies = {{6, home(i)}};
            sender.add(out);
            receiver.add(test::inbound_parameters(pair));
        }
    }
    Host sender;
    Host receiver;
};

struct Batch {
    explicit Batch(const std::vector<Bytes>& contents) : verdicts(contents.size()) {
        for (const Bytes& bytes : contents) {
            buffers.push_back(std::make_unique<Buffer>(bytes));
            packets.push_back(&buffers.back()->packet);
        }
    }
    std::vector<std::unique_ptr<Buffer>> buffers;
    std::vector<Packet*> packets;
    std::vector<Verdict> verdicts;
};

class BurstSize : public testing::TestWithParam<unsigned> {};
INSTANTIATE_TEST_SUITE_P(sizes, BurstSize, testing::Values(1, 3, 64, 67, 200));

TEST_P(BurstSize, mixed_sas_and_algorithms_come_out_as_they_went_in) {
    constexpr unsigned kAssociations = 60;
    Mixed hosts(kAssociations);
    std::mt19937 generator(GetParam());
    const auto random = [&generator] { return static_cast<unsigned>(generator()); };
    for (int round = 0; round < 10; ++round) {
        std::vector<Bytes> plain;
        for (unsigned i = 0; i < GetParam(); ++i) {
            const unsigned who = random() % (kAssociations + 5);
            plain.push_back(
                test::udp({.destination = to_string(home(who)), .payload = random() % 1400}));
        }
        Batch batch(plain);
        hosts.sender.engine->outbound(batch.packets, batch.verdicts);
        std::vector<Bytes> sealed;
        std::vector<std::size_t> from;
        for (std::size_t i = 0; i < plain.size(); ++i) {
            const bool known = load_be32(plain[i].data() + 36) < kAssociations;
            ASSERT_EQ(batch.verdicts[i], known ? Verdict::kOutProtect : Verdict::kOutNoSa);
            if (!known) continue;
            sealed.push_back(batch.buffers[i]->bytes());
            from.push_back(i);
        }
        // Some are damaged: the others must not suffer.
        std::vector<bool> damaged;
        for (Bytes& bytes : sealed) {
            damaged.push_back(random() % 5 == 0);
            if (damaged.back()) bytes.back() ^= 1;
        }
        Batch opened(sealed);
        hosts.receiver.engine->inbound(opened.packets, opened.verdicts);
        for (std::size_t k = 0; k < sealed.size(); ++k) {
            ASSERT_EQ(opened.verdicts[k], damaged[k] ? Verdict::kInIcv : Verdict::kInOk);
            if (!damaged[k]) {
                ASSERT_EQ(opened.buffers[k]->bytes(), plain[from[k]]);
            }
        }
    }
}

TEST(Burst, every_packet_has_one_verdict_in_one_counter) {
    Mixed hosts(20);
    std::vector<Bytes> contents;
    for (unsigned i = 0; i < 67; ++i) {
        contents.push_back(i % 7 == 0 ? Bytes(i) : test::udp({.destination = to_string(home(i))}));
    }
    Batch batch(contents);
    hosts.sender.engine->outbound(batch.packets, batch.verdicts);
    std::uint64_t counted = 0;
    for (std::size_t v = 0; v < kVerdictCount; ++v) {
        counted += hosts.sender.engine->count(static_cast<Verdict>(v));
    }
    EXPECT_EQ(counted, 67u);
}

TEST(Burst, an_empty_batch_is_no_batch) {
    Mixed hosts(1);
    hosts.sender.engine->outbound({}, {});
    hosts.sender.engine->inbound({}, {});
    EXPECT_EQ(hosts.sender.engine->count(Verdict::kOutDiscard), 0u);
}

TEST(Burst, takes_no_memory_from_the_heap) {
#ifdef HOMEPORT_SANITIZED
    GTEST_SKIP() << "the sanitizer has the allocator";
#else
    Mixed hosts(60);
    std::vector<Bytes> plain;
    for (unsigned i = 0; i < 67; ++i) {
        plain.push_back(i % 10 == 0
                            ? Bytes(30)
                            : test::udp({.destination = to_string(home(i)), .payload = 10 * i}));
    }
    Batch batch(plain);
    allocations = 0;
    counting = true;
    ::operator delete(::operator new(16));
    counting = false;
    ASSERT_EQ(allocations, 1u) << "the hook works";
    allocations = 0;
    counting = true;
    hosts.sender.engine->outbound(batch.packets, batch.verdicts);
    hosts.receiver.engine->inbound(batch.packets, batch.verdicts);
    counting = false;
    EXPECT_EQ(allocations, 0u);
    EXPECT_GT(hosts.receiver.engine->count(Verdict::kInOk), 40u);
#endif
}

}  // namespace
}  // namespace homeport::ipsec
