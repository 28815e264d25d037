// SPDX-License-Identifier: BSD-3-Clause
// Bindings across a restart of the control plane and across a new configuration.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>

#include "controlplane/binding/sqlite_store.hpp"
#include "tests/unit/mip6/home_agent_fixture.hpp"

namespace homeport::mip6 {
namespace {

using binding::State;
using test::v6;

class Restore : public HomeAgentTest {
  protected:
    std::vector<binding::Entry> kept() {
        std::vector<binding::Entry> entries;
        agent.bindings().for_each([&](const binding::Entry& one) { entries.push_back(one); });
        return entries;
    }
    Actions restart_and_restore(const HomeAgentConfig& with, seconds later = seconds{0}) {
        const auto entries = kept();
        now += later;
        agent = HomeAgent(with, now);
        return agent.restore(entries, now);
    }
};

TEST_F(Restore, bindings_are_installed_again_without_dad_and_answers) {
    (void)send(update(7));
    (void)send(real(8));
    (void)agent.dad_result(kHoaReal, true, now);
    const Actions actions = restart_and_restore(config, seconds{20});
    EXPECT_EQ(count_of<InstallBinding>(actions), 2u);
    EXPECT_EQ(count_of<JoinSolicitedNode>(actions), 1u);
    EXPECT_EQ(count_of<StartDad>(actions), 0u);
    EXPECT_EQ(count_of<SendMobilityMessage>(actions), 0u);
    EXPECT_EQ(agent.counters()[Counter::kBindingRestored], 2u);
    EXPECT_EQ(remaining(entry(), now), seconds{380});
    expect_status(update(7), 135);
    expect_status(update(8), 0);
}

TEST_F(Restore, what_expired_meanwhile_is_erased) {
    (void)send(update(1, 10));
    const Actions actions = restart_and_restore(config, seconds{41});
    EXPECT_EQ(count_of<InstallBinding>(actions), 0u);
    EXPECT_EQ(count_of<ErasePersisted>(actions), 1u);
    EXPECT_EQ(agent.counters()[Counter::kBindingNotRestored], 1u);
    EXPECT_EQ(agent.bindings().size(), 0u);
}

TEST_F(Restore, restored_bindings_expire) {
    (void)send(update(1, 10));
    (void)restart_and_restore(config, seconds{30});
    now += seconds{10};
    EXPECT_EQ(count_of<RemoveBinding>(agent.tick(now)), 1u);
}

TEST_F(Restore, delete_wait_goes_on) {
    (void)send(update(10));
    (void)send(update(11, 0));
    const Actions actions = restart_and_restore(config, seconds{4});
    EXPECT_EQ(count_of<InstallBinding>(actions), 0u);
    EXPECT_EQ(entry().state, State::kDeleteWait);
    expect_status(update(9), 135);
    now += seconds{7};
    (void)agent.tick(now);
    EXPECT_EQ(agent.bindings().size(), 0u);
}

TEST_F(Restore, a_clock_that_was_set_back_lengthens_no_lifetime) {
    (void)send(update(1, 100));
    auto entries = kept();
    entries[0].deadline += std::chrono::hours{24};
    agent = HomeAgent(config, now);
    (void)agent.restore(entries, now);
    EXPECT_EQ(entry().deadline, now + seconds{400});
}

TEST_F(Restore, what_is_no_longer_served_is_erased) {
    (void)send(update(1));
    HomeAgentConfig other = config;
    other.home_prefixes.erase(other.home_prefixes.begin());
    EXPECT_EQ(count_of<ErasePersisted>(restart_and_restore(other)), 1u);
    EXPECT_EQ(agent.bindings().size(), 0u);
}

TEST_F(Restore, limits_hold_for_restored_bindings) {
    (void)send(update(1));
    Update second = update(1);
    second.home_address = v6("2001:db8:1::101");
    (void)send(second);
    config.limits.bindings = 1;
    (void)restart_and_restore(config);
    EXPECT_EQ(agent.bindings().size(), 1u);
}

TEST_F(Restore, through_the_store_sequence_numbers_included) {
    char folder[] = "/tmp/mip6-restore-XXXXXX";
    ASSERT_NE(mkdtemp(folder), nullptr);
    const binding::SqliteStore::Options options{.path = std::string{folder} + "/bindings.db"};
    const binding::ClockPair clocks{now, std::chrono::system_clock::time_point{seconds{2'000'000}}};
    {
        auto opened = binding::SqliteStore::open(options);
        ASSERT_TRUE(opened.has_value());
        Actions actions = send(update(5));
        for (const Action& action : send(from(update(6), v6("2001:db8:1::9")))) {
            actions.push_back(action);  // rejected, but its number counts
        }
        for (const auto& one : all<PersistBinding>(actions)) {
            ASSERT_TRUE(opened->store->persist(one.entry, clocks).has_value());
        }
    }
    auto opened = binding::SqliteStore::open(options);
    ASSERT_TRUE(opened.has_value());
    const auto loaded = opened->store->load_all(clocks);
    ASSERT_TRUE(loaded.has_value());
    agent = HomeAgent(config, now);
    EXPECT_EQ(count_of<InstallBinding>(agent.restore(loaded->entries, now)), 1u);
    expect_status(update(6), 135);
    expect_status(update(7), 0);
    opened->store.reset();
    std::filesystem::remove_all(folder);
}

TEST_F(Restore, reconfigure_removes_what_is_no_longer_served) {
    (void)send(update(1));
    (void)send(real(1));
    (void)agent.dad_result(kHoaReal, true, now);
    HomeAgentConfig other = config;
    other.home_prefixes.pop_back();
    const Actions actions = agent.reconfigure(other, now);
    ASSERT_EQ(count_of<RemoveBinding>(actions), 1u);
    EXPECT_EQ(all<RemoveBinding>(actions)[0].home_address, kHoaReal);
    EXPECT_EQ(all<RemoveBinding>(actions)[0].reason, RemovalReason::kNotServed);
    EXPECT_EQ(count_of<LeaveSolicitedNode>(actions), 1u);
    EXPECT_EQ(agent.bindings().size(), 1u);
}

TEST_F(Restore, reconfigure_cuts_lifetimes_to_the_prefix) {
    (void)send(update(1));
    config.home_prefixes[0].valid_until = now + seconds{30};
    const Actions actions = agent.reconfigure(config, now);
    EXPECT_EQ(count_of<InstallBinding>(actions), 1u);
    EXPECT_EQ(count_of<PersistBinding>(actions), 1u);
    now += seconds{30};
    EXPECT_EQ(count_of<RemoveBinding>(agent.tick(now)), 1u);
}

TEST_F(Restore, reconfigure_to_another_port_moves_the_defence) {
    (void)send(real(1));
    (void)agent.dad_result(kHoaReal, true, now);
    config.home_prefixes[1].port = 8;
    const Actions actions = agent.reconfigure(config, now);
    EXPECT_EQ(all<JoinSolicitedNode>(actions).at(0).port, 8);
    EXPECT_EQ(all<LeaveSolicitedNode>(actions).at(0).port, kHomePort);
    EXPECT_EQ(all<InstallBinding>(actions).at(0).entry.home_port, 8);
}

TEST_F(Restore, reconfigure_with_the_same_configuration_does_nothing) {
    (void)send(update(1));
    EXPECT_TRUE(agent.reconfigure(config, now).empty());
}

}  // namespace
}  // namespace homeport::mip6
