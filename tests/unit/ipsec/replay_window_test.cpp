// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/ipsec/replay_window.hpp"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <vector>

namespace homeport::ipsec {
namespace {

/// A window with its parts.
struct Window {
    explicit Window(std::uint16_t size)
        : bitmap(ReplayWindow::word_count(size)), window(highest, bitmap.data(), size) {}
    std::atomic<std::uint64_t> highest{0};
    std::vector<std::uint64_t> bitmap;
    ReplayWindow window;
};

/// RFC 4303 as it reads: a set of what has been seen, and a left edge.
struct Model {
    explicit Model(std::uint64_t window_size) : size(window_size) {}
    std::uint64_t size;
    std::uint64_t highest = 0;
    std::set<std::uint64_t> seen;

    bool accept(std::uint64_t sequence) {
        if (sequence == 0 || (highest >= size && sequence <= highest - size)) return false;
        if (!seen.insert(sequence).second) return false;
        highest = std::max(highest, sequence);
        seen.erase(seen.begin(), seen.lower_bound(highest >= size ? highest - size + 1 : 0));
        return true;
    }
};

const std::uint16_t kSizes[] = {64,  65,  100,  127,  128,  129,  192,
                                256, 512, 1000, 1024, 2048, 4095, 4096};

class EverySize : public testing::TestWithParam<std::uint16_t> {};

TEST_P(EverySize, all_numbers_of_the_window_count_at_every_position) {
    const std::uint16_t size = GetParam();
    // Whatever the position of the right edge relative to a word of the bitmap.
    for (std::uint64_t top = size + 1u; top < size + 1u + 130u; ++top) {
        Window w(size);
        ASSERT_TRUE(w.window.accept(top));
        EXPECT_FALSE(w.window.accept(top));
        EXPECT_FALSE(w.window.is_new(top - size)) << "left of the window";
        for (std::uint64_t sequence = top - size + 1; sequence < top; ++sequence) {
            ASSERT_TRUE(w.window.accept(sequence)) << top - sequence << " behind " << top;
            ASSERT_FALSE(w.window.accept(sequence)) << top - sequence << " behind " << top;
        }
    }
}

TEST_P(EverySize, a_step_of_every_length_forgets_exactly_what_left) {
    const std::uint16_t size = GetParam();
    for (const std::uint64_t start : {std::uint64_t{1}, std::uint64_t{5000}}) {
        for (std::uint64_t step = 1; step <= size + 70u; step += size > 300 ? size / 23u : 1) {
            Window w(size);
            Model model(size);
            for (std::uint64_t s = start; s < start + size; ++s) {
                ASSERT_EQ(w.window.accept(s), model.accept(s));
            }
            const std::uint64_t top = start + size - 1 + step;
            ASSERT_TRUE(w.window.accept(top) && model.accept(top));
            for (std::uint64_t s = top - size > top ? 0 : top - size; s <= top + 1; ++s) {
                ASSERT_EQ(w.window.accept(s), model.accept(s)) << s << " of " << top;
            }
        }
    }
}

TEST_P(EverySize, random_sequences_agree_with_the_model) {
    const std::uint16_t size = GetParam();
    std::mt19937_64 random(size);
    for (int round = 0; round < 20; ++round) {
        Window w(size);
        Model model(size);
        std::uint64_t base = random() % (3u * size) + 1;
        for (int i = 0; i < 4000; ++i) {
            const std::uint64_t kind = random() % 100;
            if (kind < 3) base += random() % (4u * size);  // a loss
            if (kind < 50) base += random() % 3;           // progress
            const std::uint64_t back = random() % (size + size / 4u + 3);
            const std::uint64_t sequence = kind % 3 == 0 || back > base ? base : base - back;
            ASSERT_EQ(w.window.is_new(sequence) && w.window.accept(sequence),
                      model.accept(sequence))
                << sequence << " highest " << model.highest;
            ASSERT_EQ(w.highest.load(), model.highest);
        }
    }
}

TEST_P(EverySize, esn_is_inferred_over_the_whole_window_on_both_sides_of_2_32) {
    const std::uint64_t size = GetParam();
    for (const std::uint64_t turn : {std::uint64_t{1} << 32, std::uint64_t{5} << 32}) {
        for (std::uint64_t top = turn - size - 2; top < turn + size + 2;
             top += size > 300 ? 61 : 1) {
            Window w(GetParam());
            ASSERT_TRUE(w.window.accept(top));
            // Anything from the left edge of the window to nearly 2^32 to the right of it.
            for (const std::uint64_t sequence :
                 {top - size + 1, top - size / 2, top - 1, top + 1, top + size, top + (1u << 31),
                  top + (std::uint64_t{1} << 32) - size}) {
                std::uint64_t inferred = 0;
                ASSERT_TRUE(w.window.extend(static_cast<std::uint32_t>(sequence), inferred));
                ASSERT_EQ(inferred, sequence) << "highest " << top;
            }
        }
    }
}

INSTANTIATE_TEST_SUITE_P(sizes, EverySize, testing::ValuesIn(kSizes));

TEST(ReplayWindow, number_zero_is_never_new) {
    Window w(64);
    EXPECT_FALSE(w.window.is_new(0));
    EXPECT_TRUE(w.window.accept(1));
}

TEST(ReplayWindow, esn_below_the_first_window_has_no_high_half) {
    // RFC 4303 appendix A2.2 case B with Th = 0: the high half would be -1.
    Window w(64);
    std::uint64_t sequence = 0;
    EXPECT_FALSE(w.window.extend(0xffffffff, sequence));
    EXPECT_TRUE(w.window.extend(1, sequence));
    EXPECT_EQ(sequence, 1u);
    ASSERT_TRUE(w.window.accept(10));
    EXPECT_FALSE(w.window.extend(0xffffffd0, sequence));
    // 10 - 64 + 1 mod 2^32 is the left edge; what is right of it in the old cycle does not exist.
    EXPECT_FALSE(w.window.extend(10u - 64 + 1, sequence));
    EXPECT_TRUE(w.window.extend(10u - 64, sequence));
    EXPECT_EQ(sequence, 10u - 64);
}

TEST(ReplayWindow, esn_ends_at_2_64) {
    Window w(64);
    ASSERT_TRUE(w.window.accept(~std::uint64_t{0} - 1));
    std::uint64_t sequence = 0;
    EXPECT_TRUE(w.window.extend(0xffffffff, sequence));
    EXPECT_EQ(sequence, ~std::uint64_t{0});
    EXPECT_FALSE(w.window.extend(5, sequence));
}

TEST(ReplayWindow, a_restored_sa_takes_nothing_from_before) {
    Window w(128);
    w.window.start_at(1000);
    for (std::uint64_t s = 1; s < 1000; ++s) EXPECT_FALSE(w.window.accept(s)) << s;
    EXPECT_TRUE(w.window.accept(1000));
    EXPECT_TRUE(w.window.accept(1002));
    EXPECT_TRUE(w.window.accept(1001));
    EXPECT_FALSE(w.window.accept(999));
}

}  // namespace
}  // namespace homeport::ipsec
