// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/binding/id_index.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <random>
#include <set>
#include <unordered_map>
#include <vector>

namespace homeport::binding {
namespace {

/// Keys are numbers; the index knows them by where they are in a table.
template <class Hash>
class Model {
  public:
    void insert(std::uint64_t key) {
        std::uint32_t id = static_cast<std::uint32_t>(keys_.size());
        if (free_.empty()) {
            keys_.push_back(key);
        } else {
            id = *free_.begin();
            free_.erase(free_.begin());
            keys_[id] = key;
        }
        index_.insert(key, id);
        known_.emplace(key, id);
    }
    void erase(std::uint64_t key) {
        const auto known = known_.find(key);
        const std::uint32_t id = index_.erase(key, key_of());
        ASSERT_EQ(id, known == known_.end() ? kNone : known->second) << key;
        if (known == known_.end()) return;
        free_.insert(id);
        known_.erase(known);
    }
    [[nodiscard]] bool knows(std::uint64_t key) const { return known_.contains(key); }
    void check(std::uint64_t keys) const {
        ASSERT_EQ(index_.size(), known_.size());
        for (std::uint64_t key = 0; key < keys; ++key) {
            const auto known = known_.find(key);
            ASSERT_EQ(index_.find(key, key_of()), known == known_.end() ? kNone : known->second)
                << key;
        }
        std::set<std::uint32_t> visited;
        index_.for_each([&](std::uint32_t id) { EXPECT_TRUE(visited.insert(id).second) << id; });
        EXPECT_EQ(visited.size(), known_.size());
    }

  private:
    static constexpr std::uint32_t kNone = IdIndex<std::uint64_t, Hash>::kNone;
    [[nodiscard]] auto key_of() const {
        return [this](std::uint32_t id) { return keys_[id]; };
    }

    std::vector<std::uint64_t> keys_;
    std::set<std::uint32_t> free_;
    std::unordered_map<std::uint64_t, std::uint32_t> known_;
    IdIndex<std::uint64_t, Hash> index_;
};

/// What comes and goes at random is found if it is there and not if it is not.
template <class Hash>
void come_and_go(std::uint64_t keys) {
    Model<Hash> model;
    std::mt19937_64 random(1);
    for (unsigned step = 0; step < 40; ++step) {
        for (unsigned i = 0; i < keys; ++i) {
            const std::uint64_t key = random() % keys;
            // First more come than go, then the other way round.
            if (!model.knows(key) && random() % 40 >= step) {
                model.insert(key);
            } else if (random() % 2 == 0) {
                model.erase(key);
            }
        }
        model.check(keys);
    }
    for (std::uint64_t key = 0; key < keys; ++key) model.erase(key);
    model.check(keys);
}

struct Mixed {
    std::size_t operator()(std::uint64_t key) const { return key * 0x9e3779b97f4a7c15u; }
};
/// All of one place, those that wrap around the end of the table among them.
struct AtTheEnd {
    std::size_t operator()(std::uint64_t) const { return 0xffffffff; }
};
/// A few places side by side: runs grow into each other.
struct Crowded {
    std::size_t operator()(std::uint64_t key) const { return 0xfffffff8 + key % 16; }
};

TEST(IdIndexTest, finds_what_is_there) {
    come_and_go<Mixed>(1000);
}
TEST(IdIndexTest, keys_of_one_hash) {
    come_and_go<AtTheEnd>(60);
}
TEST(IdIndexTest, runs_that_meet) {
    come_and_go<Crowded>(120);
}

TEST(IdIndexTest, an_empty_one_has_nothing) {
    IdIndex<std::uint64_t> index;
    const auto key_of = [](std::uint32_t) -> std::uint64_t { std::abort(); };
    EXPECT_EQ(index.find(1, key_of), IdIndex<std::uint64_t>::kNone);
    EXPECT_EQ(index.erase(1, key_of), IdIndex<std::uint64_t>::kNone);
    EXPECT_EQ(index.size(), 0u);
}

}  // namespace
}  // namespace homeport::binding
