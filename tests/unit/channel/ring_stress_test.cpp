// SPDX-License-Identifier: BSD-3-Clause
// Two threads on one ring. Build with -Db_sanitize=thread as well.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>

#include <atomic>
#include <chrono>
#include <random>
#include <thread>

#include "dataplane/channel/ring.hpp"
#include "tests/unit/channel/support.hpp"

namespace homeport::channel {
namespace {

using test::RingMemory;

constexpr std::uint64_t kRecords = 1000000;
constexpr std::uint64_t kUnknown = ~std::uint64_t{0};

/// The writer goes on for kRecords, or as long as this: on a busy machine two threads that wait for
/// each other are slow.
class Budget {
  public:
    [[nodiscard]] bool is_left(std::uint64_t records) const {
        return records < kRecords && (records % 64 != 0 || std::chrono::steady_clock::now() < end_);
    }

  private:
    std::chrono::steady_clock::time_point end_ =
        std::chrono::steady_clock::now() + std::chrono::seconds(2);
};

/// Record n: its number, then octets that depend on it.
std::size_t length_of(std::uint64_t number) {
    return 8 + number * 2654435761u % 97;
}

void fill(std::uint8_t* room, std::uint64_t number) {
    std::memcpy(room, &number, 8);
    std::memset(room + 8, static_cast<int>(number & 0xff), length_of(number) - 8);
}

bool is_record(std::span<const std::uint8_t> record, std::uint64_t number) {
    std::uint64_t said;
    if (record.size() != length_of(number)) return false;
    std::memcpy(&said, record.data(), 8);
    for (std::size_t i = 8; i < record.size(); ++i) {
        if (record[i] != (number & 0xff)) return false;
    }
    return said == number;
}

TEST(RingStress, two_threads_batched_publication) {
    RingMemory memory(4096);
    std::atomic<std::uint64_t> total{kUnknown};
    std::thread writer([&] {
        RingProducer producer(memory.bytes(), memory.capacity());
        std::minstd_rand random(3);
        const Budget budget;
        std::uint64_t number = 0;
        while (budget.is_left(number)) {
            std::uint8_t* room = producer.reserve(length_of(number));
            if (room == nullptr) {
                producer.publish();
                std::this_thread::yield();
                continue;
            }
            fill(room, number);
            producer.commit(length_of(number++));
            if (random() % 16 == 0) producer.publish();
        }
        producer.publish();
        total = number;
        EXPECT_FALSE(producer.broken());
    });
    RingConsumer consumer(memory.bytes(), memory.capacity());
    std::uint64_t number = 0;
    bool right = true;
    while (right && number < total) {
        const auto record = consumer.peek();
        if (!record) {
            consumer.publish();
            std::this_thread::yield();
            if (consumer.broken()) break;
            continue;
        }
        right = is_record(*record, number++);
        consumer.release();
        if (number % 8 == 0) consumer.publish();
    }
    consumer.publish();
    EXPECT_TRUE(right) << "record " << number - 1;
    EXPECT_FALSE(consumer.broken());
    if (!right || consumer.broken()) std::abort();  // the writer would wait for ever
    writer.join();
    EXPECT_EQ(number, total);
    EXPECT_GT(number, 1000u);
}

TEST(RingStress, no_wake_up_is_lost) {
    RingMemory memory(4096);
    const FileDescriptor wake_up(::eventfd(0, EFD_NONBLOCK));
    std::atomic<std::uint64_t> total{kUnknown};
    std::thread writer([&] {
        RingProducer producer(memory.bytes(), memory.capacity());
        std::minstd_rand random(5);
        const auto publish = [&] {
            if (!producer.publish_and_see_sleeper()) return;
            const std::uint64_t one = 1;
            ASSERT_EQ(::write(wake_up.get(), &one, sizeof one), 8);
        };
        const Budget budget;
        std::uint64_t number = 0;
        while (budget.is_left(number)) {
            std::uint8_t* room = producer.reserve(length_of(number));
            if (room == nullptr) {
                std::this_thread::yield();
                continue;
            }
            fill(room, number);
            producer.commit(length_of(number++));
            publish();
            for (auto pause = random() % 64; pause > 0; --pause) {
                std::atomic_signal_fence(std::memory_order_seq_cst);
            }
        }
        // One more, so that the consumer need not sleep when it learns the number.
        total = number + 1;
        std::uint8_t* last = nullptr;
        while ((last = producer.reserve(length_of(number))) == nullptr) std::this_thread::yield();
        fill(last, number);
        producer.commit(length_of(number));
        publish();
    });
    RingConsumer consumer(memory.bytes(), memory.capacity());
    std::uint64_t number = 0, sleeps = 0;
    while (number < total) {
        while (const auto record = consumer.peek()) {
            ASSERT_TRUE(is_record(*record, number++));
            consumer.release();
        }
        consumer.publish();
        if (number >= total || !consumer.announce_sleep()) continue;
        ++sleeps;
        pollfd readable{wake_up.get(), POLLIN, 0};
        // A lost wake-up shows as a time-out here.
        if (::poll(&readable, 1, 30000) != 1) {
            ADD_FAILURE() << "slept for ever after " << number;
            std::abort();
        }
        std::uint64_t count;
        ASSERT_EQ(::read(wake_up.get(), &count, sizeof count), 8);
        consumer.withdraw_sleep();
    }
    writer.join();
    EXPECT_GT(sleeps, 0u);
}

}  // namespace
}  // namespace homeport::channel
