// SPDX-License-Identifier: BSD-3-Clause
// links: channel
// A ring whose memory a hostile peer wrote: the input is the indices, then the data. Whatever comes
// out goes through the decoders of both directions, and the other end is used in between.
#include <array>
#include <cstdint>
#include <cstring>

#include "dataplane/channel/records.hpp"
#include "dataplane/channel/ring.hpp"

using namespace homeport::channel;

namespace {

constexpr std::size_t kCapacity = kMinRingCapacity;
alignas(4096) std::array<std::uint8_t, ring_region_size(kCapacity)> memory;

struct Touch {
    template <class Record>
    void operator()(const Record& record, homeport::ConstByteSpan trailing) {
        sum += record.header.length;
        for (const auto octet : trailing) sum += octet;
        if constexpr (requires { record.count; }) {
            for (std::uint32_t i = 0; i < record.count; ++i) {
                sum += valid(policy_at(trailing, i)) ? 1 : 0;
            }
        }
    }
    std::uint64_t sum = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    constexpr std::size_t kIndices = 4 * sizeof(std::uint64_t);
    if (size < kIndices) return 0;
    std::array<std::uint64_t, 4> indices;
    std::memcpy(indices.data(), data, kIndices);
    memory.fill(0);
    auto& control = *reinterpret_cast<RingControl*>(memory.data());
    RingConsumer consumer(memory, kCapacity);
    RingProducer producer(memory, kCapacity);
    std::memcpy(memory.data() + kRingDataOffset, data + kIndices,
                size - kIndices < kCapacity ? size - kIndices : kCapacity);

    Touch touch;
    std::array<std::uint8_t, 64> copy;
    for (std::size_t round = 0; round < 3; ++round) {
        control.head = indices[round];
        // No more records than frames fit, or the loop would not end.
        for (std::size_t i = 0; i <= kCapacity / 16; ++i) {
            const auto record = consumer.peek();
            if (!record) break;
            if (i == kCapacity / 16) __builtin_trap();
            (void)dispatch_command(*record, touch);
            (void)dispatch_event(*record, touch);
            (void)consumer.peek_copy(copy);
            round % 2 == 0 ? consumer.release() : consumer.release_and_wipe();
        }
        consumer.publish();
        control.tail = indices[round + 1];
        for (std::size_t length = 1; length < 200; length += 61) {
            if (auto* room = producer.reserve(length)) {
                std::memset(room, 1, length);
                producer.commit(length);
            }
        }
        (void)producer.publish_and_see_sleeper();
    }
    return 0;
}
