// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/channel/ring.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <random>
#include <vector>

#include "tests/unit/channel/support.hpp"

namespace homeport::channel {
namespace {

using test::RingMemory;

constexpr std::size_t kCapacity = 4096;

std::vector<std::uint8_t> pattern(std::size_t length, unsigned seed) {
    std::vector<std::uint8_t> bytes(length);
    for (std::size_t i = 0; i < length; ++i) bytes[i] = static_cast<std::uint8_t>(seed + i * 7);
    return bytes;
}

struct Ring : ::testing::Test {
    RingMemory memory{kCapacity};
    RingProducer producer{memory.bytes(), kCapacity};
    RingConsumer consumer{memory.bytes(), kCapacity};

    bool write(std::size_t length, unsigned seed = 1) {
        return producer.write(pattern(length, seed));
    }
    void expect_record(std::size_t length, unsigned seed = 1) {
        const auto record = consumer.peek();
        ASSERT_TRUE(record);
        const auto wanted = pattern(length, seed);
        EXPECT_TRUE(std::ranges::equal(*record, wanted));
        consumer.release();
    }
    /// Moves both indices on by `octets` (a multiple of 8, at least 16).
    void advance(std::size_t octets) {
        ASSERT_TRUE(write(octets - kRingFrame));
        producer.publish();
        ASSERT_TRUE(consumer.peek());
        consumer.release();
        consumer.publish();
    }
};

TEST_F(Ring, records_come_out_whole_and_in_order) {
    for (unsigned i = 1; i <= 20; ++i) ASSERT_TRUE(write(i * 3, i));
    producer.publish();
    for (unsigned i = 1; i <= 20; ++i) expect_record(i * 3, i);
    EXPECT_FALSE(consumer.peek());
    EXPECT_FALSE(consumer.broken());
}

TEST_F(Ring, what_is_not_published_is_not_seen) {
    ASSERT_TRUE(write(100));
    EXPECT_FALSE(consumer.peek());
    std::uint8_t* half = producer.reserve(200);
    ASSERT_NE(half, nullptr);
    producer.publish();
    expect_record(100);
    EXPECT_FALSE(consumer.peek()) << "a reserved record is not there before its commit";
}

TEST_F(Ring, commit_may_shorten_and_a_forgotten_reservation_leaves_nothing) {
    ASSERT_NE(producer.reserve(500), nullptr);
    std::uint8_t* room = producer.reserve(500);
    ASSERT_NE(room, nullptr);
    const auto wanted = pattern(13, 9);
    std::ranges::copy(wanted, room);
    producer.commit(13);
    producer.commit(13);  // nothing is reserved any more
    producer.publish();
    expect_record(13, 9);
    EXPECT_FALSE(consumer.peek());
}

TEST_F(Ring, impossible_lengths_are_refused) {
    EXPECT_EQ(producer.reserve(0), nullptr);
    EXPECT_EQ(producer.reserve(producer.max_record() + 1), nullptr);
    EXPECT_EQ(producer.reserve(~std::size_t{0}), nullptr);
    EXPECT_NE(producer.reserve(producer.max_record()), nullptr);
}

TEST_F(Ring, an_end_without_memory_gives_and_takes_nothing) {
    RingProducer no_producer;
    RingConsumer no_consumer;
    EXPECT_EQ(no_producer.reserve(8), nullptr);
    EXPECT_EQ(no_producer.free_octets(), 0u);
    EXPECT_FALSE(no_producer.publish_and_see_sleeper());
    no_producer.publish();
    EXPECT_FALSE(no_consumer.peek());
    EXPECT_FALSE(no_consumer.announce_sleep());
    no_consumer.publish();
}

TEST_F(Ring, a_full_ring_says_so_and_takes_more_after_a_release) {
    unsigned written = 0;
    while (write(100, written)) ++written;
    EXPECT_EQ(written, kCapacity / ring_frame_size(100));
    EXPECT_FALSE(producer.broken());
    EXPECT_LT(producer.free_octets(), ring_frame_size(100));
    producer.publish();
    expect_record(100, 0);
    EXPECT_FALSE(write(100, written)) << "the room comes back with publish(), not before";
    consumer.publish();
    EXPECT_TRUE(write(100, written));
    producer.publish();
    for (unsigned i = 1; i <= written; ++i) expect_record(100, i);
    EXPECT_EQ(producer.used_octets(), kCapacity) << "with the padding at the end";
    consumer.publish();
    EXPECT_EQ(producer.free_octets(), kCapacity);
}

TEST_F(Ring, the_ring_can_be_full_to_the_last_octet) {
    const std::size_t half = kCapacity / 2 - kRingFrame;
    ASSERT_TRUE(write(half, 1));
    ASSERT_TRUE(write(half, 2));
    EXPECT_EQ(producer.free_octets(), 0u);
    EXPECT_FALSE(write(1));
    producer.publish();
    expect_record(half, 1);
    expect_record(half, 2);
    EXPECT_FALSE(consumer.peek());
    EXPECT_FALSE(consumer.broken());
}

TEST(RingWrap, records_of_all_sizes_wrap_at_every_offset) {
    for (std::size_t offset = 16; offset <= kCapacity; offset += 8) {
        for (const std::size_t length : {1u, 8u, 9u, 63u, 500u, 2040u}) {
            RingMemory memory(kCapacity);
            RingProducer producer(memory.bytes(), kCapacity);
            RingConsumer consumer(memory.bytes(), kCapacity);
            for (std::size_t gone = 0; gone < offset;) {
                std::size_t step = std::min<std::size_t>(offset - gone, 1024);
                if (offset - gone - step == 8) step -= 8;
                ASSERT_TRUE(producer.write(pattern(step - kRingFrame, 0)));
                producer.publish();
                ASSERT_TRUE(consumer.peek());
                consumer.release();
                consumer.publish();
                gone += step;
            }
            const auto first = pattern(length, 3), second = pattern(17, 4);
            ASSERT_TRUE(producer.write(first)) << offset << ' ' << length;
            const bool both = producer.write(second);
            producer.publish();
            auto record = consumer.peek();
            ASSERT_TRUE(record) << offset << ' ' << length;
            ASSERT_TRUE(std::ranges::equal(*record, first)) << offset << ' ' << length;
            consumer.release();
            if (both) {
                record = consumer.peek();
                ASSERT_TRUE(record && std::ranges::equal(*record, second));
                consumer.release();
            }
            ASSERT_FALSE(consumer.peek());
            ASSERT_FALSE(consumer.broken());
            consumer.publish();
            ASSERT_EQ(producer.free_octets(), kCapacity);
        }
    }
}

TEST(RingModel, behaves_as_a_queue_under_random_use) {
    std::mt19937 random(7);
    RingMemory memory(kCapacity);
    RingProducer producer(memory.bytes(), kCapacity);
    RingConsumer consumer(memory.bytes(), kCapacity);
    std::deque<std::vector<std::uint8_t>> committed, visible;
    for (unsigned step = 0; step < 200000; ++step) {
        switch (random() % 5) {
            case 0:
            case 1: {
                const auto record = pattern(1 + random() % (random() % 16 == 0 ? 2040 : 200), step);
                if (producer.write(record)) committed.push_back(record);
                break;
            }
            case 2:
                producer.publish();
                std::ranges::move(committed, std::back_inserter(visible));
                committed.clear();
                break;
            case 3: {
                const auto record = consumer.peek();
                ASSERT_EQ(record.has_value(), !visible.empty());
                if (!record) break;
                ASSERT_TRUE(std::ranges::equal(*record, visible.front()));
                visible.pop_front();
                consumer.release();
                break;
            }
            default:
                consumer.publish();
        }
    }
    EXPECT_FALSE(producer.broken());
    EXPECT_FALSE(consumer.broken());
}

TEST_F(Ring, peek_copy_gives_a_private_copy) {
    ASSERT_TRUE(write(50, 5));
    producer.publish();
    std::array<std::uint8_t, 64> copy{};
    const auto record = consumer.peek_copy(copy);
    ASSERT_TRUE(record);
    EXPECT_EQ(record->data(), copy.data());
    EXPECT_EQ(consumer.record_length(), 50u);
    EXPECT_TRUE(std::ranges::equal(*record, pattern(50, 5)));
    std::array<std::uint8_t, 10> small{};
    EXPECT_EQ(consumer.peek_copy(small)->size(), 10u);
    consumer.release();
    EXPECT_FALSE(consumer.peek_copy(copy));
}

TEST_F(Ring, a_wiped_record_leaves_no_trace_in_memory) {
    ASSERT_TRUE(producer.write(std::vector<std::uint8_t>(64, 0xa5)));
    producer.publish();
    ASSERT_TRUE(consumer.peek());
    consumer.release_and_wipe();
    const std::span data(memory.data(), kCapacity);
    EXPECT_EQ(std::ranges::count(data, 0xa5), 0);
    EXPECT_FALSE(consumer.peek());
}

// ------------------------------------------------------------------- a peer that writes garbage

TEST_F(Ring, a_head_that_is_out_of_range_breaks_the_ring) {
    advance(64);
    for (const std::uint64_t bad :
         {std::uint64_t{0}, std::uint64_t{56}, std::uint64_t{65}, std::uint64_t{64 + kCapacity + 8},
          ~std::uint64_t{0}, std::uint64_t{1} << 63}) {
        RingConsumer victim = consumer;
        memory.control().head = bad;
        EXPECT_FALSE(victim.peek()) << bad;
        EXPECT_EQ(victim.state(), RingState::kBadIndex) << bad;
        memory.control().head = 64;
        EXPECT_FALSE(victim.peek()) << "broken is final";
        EXPECT_FALSE(victim.announce_sleep());
    }
}

TEST_F(Ring, a_head_beyond_the_room_given_back_breaks_the_ring) {
    ASSERT_TRUE(write(1000));
    producer.publish();
    ASSERT_TRUE(consumer.peek());
    consumer.release();  // not published: the producer may not use that room yet
    memory.control().head = kCapacity + 8;
    EXPECT_FALSE(consumer.peek());
    EXPECT_EQ(consumer.state(), RingState::kBadIndex);
}

TEST_F(Ring, a_tail_that_is_out_of_range_breaks_the_ring) {
    advance(64);
    ASSERT_TRUE(write(56));
    producer.publish();
    ASSERT_TRUE(write(56));  // committed only: the consumer cannot have read it
    ASSERT_EQ(producer.free_octets(), kCapacity - 128);  // it has seen the tail at 64
    for (const std::uint64_t bad : {std::uint64_t{0}, std::uint64_t{63}, std::uint64_t{65},
                                    std::uint64_t{192}, ~std::uint64_t{0}}) {
        RingProducer victim = producer;
        memory.control().tail = bad;
        EXPECT_EQ(victim.free_octets(), 0u) << bad;
        EXPECT_EQ(victim.state(), RingState::kBadIndex) << bad;
        EXPECT_EQ(victim.reserve(8), nullptr);
    }
}

TEST_F(Ring, the_own_index_is_never_read_back_from_shared_memory) {
    advance(64);
    memory.control().head = 0xdeadbee0;
    memory.control().tail = 64;
    ASSERT_TRUE(write(32, 6));
    producer.publish();
    EXPECT_EQ(memory.control().head.load(), 64u + 40u);
    memory.control().tail = 0xdeadbee0;
    expect_record(32, 6);
    consumer.publish();
    EXPECT_EQ(memory.control().tail.load(), 64u + 40u);
}

TEST_F(Ring, a_frame_that_lies_breaks_the_ring) {
    const auto frame = [](std::uint32_t mark, std::uint32_t length) {
        return std::uint64_t{mark} << 32 | length;
    };
    constexpr std::uint32_t kRecord = 0x52454344, kPadding = 0x50414444;
    for (const std::uint64_t bad :
         {std::uint64_t{0}, frame(kRecord, 0), frame(kRecord, 57), frame(kRecord, 0xffffffff),
          frame(kRecord, 0xfffffff8), frame(kRecord, 4088), frame(kPadding, 4088),
          frame(kPadding, 0), frame(0x12345678, 8), ~std::uint64_t{0}}) {
        RingMemory fresh(kCapacity);
        RingConsumer victim(fresh.bytes(), kCapacity);
        std::memcpy(fresh.data(), &bad, sizeof bad);
        fresh.control().head = 64;
        EXPECT_FALSE(victim.peek()) << bad;
        EXPECT_EQ(victim.state(), RingState::kBadLength) << bad;
    }
}

TEST_F(Ring, random_garbage_never_leads_out_of_the_ring_or_into_an_endless_loop) {
    std::mt19937_64 random(11);
    for (int round = 0; round < 20000; ++round) {
        RingProducer producer_end(memory.bytes(), kCapacity);
        RingConsumer consumer_end(memory.bytes(), kCapacity);
        memory.control().head = 0;
        memory.control().tail = 0;
        for (int step = 0; step < 40; ++step) {
            switch (random() % 8) {
                case 0:
                    memory.control().head = random() % 3 == 0 ? random() : random() % 9000 / 8 * 8;
                    break;
                case 1:
                    memory.control().tail = random() % 3 == 0 ? random() : random() % 9000 / 8 * 8;
                    break;
                case 2: {
                    const std::uint64_t word =
                        random() % 2 == 0 ? random() : 0x5245434400000000 | random() % 5000;
                    std::memcpy(memory.data() + random() % (kCapacity / 8) * 8, &word, 8);
                    break;
                }
                case 3:
                case 4:
                    (void)producer_end.write(pattern(1 + random() % 2040, 1));
                    producer_end.publish();
                    break;
                default:
                    if (const auto record = consumer_end.peek()) {
                        const auto offset = record->data() - memory.data();
                        ASSERT_GE(offset, 8);
                        ASSERT_LE(static_cast<std::size_t>(offset) + record->size(), kCapacity);
                    }
                    random() % 2 == 0 ? consumer_end.release() : consumer_end.release_and_wipe();
                    consumer_end.publish();
            }
        }
    }
}

// ------------------------------------------------------------------------------------- wake-up

TEST_F(Ring, a_sleeper_is_reported_once_and_only_for_new_records) {
    EXPECT_FALSE(producer.publish_and_see_sleeper());
    ASSERT_TRUE(write(8));
    EXPECT_FALSE(producer.publish_and_see_sleeper()) << "nobody sleeps";
    EXPECT_FALSE(consumer.announce_sleep()) << "a record waits";
    expect_record(8);
    EXPECT_TRUE(consumer.announce_sleep());
    EXPECT_FALSE(producer.publish_and_see_sleeper()) << "nothing new";
    ASSERT_TRUE(write(8));
    EXPECT_TRUE(producer.publish_and_see_sleeper());
    ASSERT_TRUE(write(8));
    EXPECT_FALSE(producer.publish_and_see_sleeper()) << "it was woken up already";
    expect_record(8);
    expect_record(8);
    EXPECT_TRUE(consumer.announce_sleep());
    consumer.withdraw_sleep();
    ASSERT_TRUE(write(8));
    EXPECT_FALSE(producer.publish_and_see_sleeper());
}

}  // namespace
}  // namespace homeport::channel
