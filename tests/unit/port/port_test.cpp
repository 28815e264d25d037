// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/port/port.hpp"

#include <gtest/gtest.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <unistd.h>

#include <array>

#include "dataplane/port/exception_tap.hpp"
#include "dataplane/port/transmitter.hpp"
#include "tests/unit/stage/eal.hpp"

namespace homeport::port {
namespace {

using channel::Counter;

class PortTest : public ::testing::Test {
  protected:
    static void SetUpTestSuite() { testing::start_eal(); }
    void SetUp() override {
        auto configs = PmdConfigs::load(HOMEPORT_SOURCE_ROOT "/pmd-config");
        ASSERT_TRUE(configs) << configs.error();
        configs_ = std::move(*configs);
        pool_ = rte_pktmbuf_pool_create("ports", 8191, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, 0);
        ASSERT_NE(pool_, nullptr);
    }
    void TearDown() override { rte_mempool_free(pool_); }
    rte_mbuf* frame(std::uint8_t number = 0) {
        rte_mbuf* made = rte_pktmbuf_alloc(pool_);
        std::memset(rte_pktmbuf_append(made, 60), number, 60);
        return made;
    }
    static config::PortConfig named(const char* name, const char* device) {
        config::PortConfig config;
        config.name = name;
        config.device = device;
        return config;
    }

    PmdConfigs configs_;
    rte_mempool* pool_ = nullptr;
};

TEST_F(PortTest, opens_and_starts_virtual_devices_of_several_families) {
    for (const char* device : {"net_null7,no-rx=1", "net_ring7"}) {
        auto port = Port::open(named("p", device), configs_, 1);
        ASSERT_TRUE(port) << port.error();
        const auto started = (*port)->start(pool_);
        ASSERT_TRUE(started) << started.error();
        EXPECT_FALSE((*port)->generic_family()) << device;
        EXPECT_TRUE((*port)->link().up) << device;
        EXPECT_EQ((*port)->mtu(), 1500);
        EXPECT_EQ((*port)->rx_queues(), 1);
    }
}

TEST_F(PortTest, an_error_names_the_port_and_the_device) {
    const auto port = Port::open(named("wan0", "net_nonsense0"), configs_, 1);
    ASSERT_FALSE(port);
    EXPECT_NE(port.error().find("wan0"), std::string::npos);
    EXPECT_NE(port.error().find("net_nonsense0"), std::string::npos);
    const auto missing = Port::open(named("wan0", "net_af_packet7,iface=nonexistent"), configs_, 1);
    ASSERT_FALSE(missing);
    config::PortConfig config = named("p", "net_null8");
    config.pmd_config = "unheard-of";
    const auto family = Port::open(config, configs_, 1);
    ASSERT_FALSE(family);
    EXPECT_NE(family.error().find("unheard-of"), std::string::npos);
}

TEST_F(PortTest, a_driver_that_no_file_names_is_generic) {
    auto port = Port::open(named("p", "net_null9"), PmdConfigs(), 1);
    ASSERT_TRUE(port) << port.error();
    EXPECT_TRUE((*port)->generic_family());
}

TEST_F(PortTest, a_device_without_as_many_queues_gives_those_that_it_has) {
    config::PortConfig config = named("p", "net_null10");
    config.queues = 4;
    auto port = Port::open(config, configs_, 2);
    ASSERT_TRUE(port) << port.error();
    EXPECT_LE((*port)->rx_queues(), 2);
    EXPECT_FALSE((*port)->warnings().empty());
}

TEST_F(PortTest, configured_address_is_used) {
    config::PortConfig config = named("p", "net_ring9");
    config.mac = MacAddress::parse("02:00:00:00:00:42");
    auto port = Port::open(config, configs_, 1);
    ASSERT_TRUE(port) << port.error();
    ASSERT_TRUE((*port)->start(pool_));
    EXPECT_EQ((*port)->mac(), *config.mac);
}

TEST(DeriveMac, is_local_unicast_stable_and_its_own) {
    const MacAddress device{{0x02, 1, 2, 3, 4, 5}};
    const MacAddress own = derive_mac(device, "home0");
    EXPECT_EQ(own, derive_mac(device, "home0"));
    EXPECT_NE(own, derive_mac(device, "wan0"));
    EXPECT_NE(own, device);
    EXPECT_EQ(own.bytes[0] & 3, 2);
    EXPECT_NE(derive_mac(own, "home0"), own);
}

class TransmitterTest : public PortTest {
  protected:
    void SetUp() override {
        PortTest::SetUp();
        static int number = 11;
        const std::string device = "net_ring" + std::to_string(number++);
        auto port = Port::open(named("p", device.c_str()), configs_, 1);
        ASSERT_TRUE(port) << port.error();
        port_ = std::move(*port);
        ASSERT_TRUE(port_->start(pool_));
        transmitter_.attach(3, port_->id(), 0, true, shared_);
    }
    void TearDown() override {
        while (port_ != nullptr && take_one()) {
        }
        port_.reset();
        PortTest::TearDown();
    }
    bool take_one() {
        rte_mbuf* taken = nullptr;
        if (rte_eth_rx_burst(port_->id(), 0, &taken, 1) == 0) return false;
        rte_pktmbuf_free(taken);
        return true;
    }
    std::uint64_t count(Counter counter) { return counters_[static_cast<std::size_t>(counter)]; }

    std::array<std::uint64_t, channel::kCounterCount> counters_{};
    TransmitPort shared_;
    std::unique_ptr<Port> port_;
    Transmitter transmitter_{counters_.data()};
};

TEST_F(TransmitterTest, sends_when_flushed_and_not_before) {
    for (int i = 0; i < 100; ++i) transmitter_.put(3, frame());
    EXPECT_FALSE(take_one());
    EXPECT_TRUE(transmitter_.flush());
    EXPECT_EQ(count(Counter::kTxPort), 100u);
    for (int i = 0; i < 100; ++i) EXPECT_TRUE(take_one());
}

TEST_F(TransmitterTest, keeps_what_the_driver_does_not_take_and_drops_at_last) {
    // The driver's ring holds 1023 frames.
    for (unsigned i = 0; i < Transmitter::kCapacity; ++i) transmitter_.put(3, frame());
    transmitter_.put(3, frame());
    EXPECT_EQ(count(Counter::kTxFull), 1u);
    EXPECT_FALSE(transmitter_.flush());
    const std::uint64_t sent = count(Counter::kTxPort);
    EXPECT_GT(sent, 0u);
    for (unsigned i = 0; i < 10; ++i) ASSERT_TRUE(take_one());
    EXPECT_FALSE(transmitter_.flush());
    EXPECT_EQ(count(Counter::kTxPort), sent + 10);
    for (unsigned i = 0; i < Transmitter::kPatience; ++i) (void)transmitter_.flush();
    EXPECT_EQ(count(Counter::kTxPort) + count(Counter::kTxFull), Transmitter::kCapacity + 1u);
    EXPECT_TRUE(transmitter_.flush());
}

/// A run of frames is written behind the capacity, and no more of it kept than there is room for.
TEST_F(TransmitterTest, takes_no_more_at_once_than_its_capacity) {
    EXPECT_EQ(transmitter_.room(4), nullptr);
    EXPECT_EQ(transmitter_.room(channel::kNoPort), nullptr);
    unsigned given = 0;
    for (; given < Transmitter::kCapacity + 100; given += 60) {
        rte_mbuf** const room = transmitter_.room(3);
        ASSERT_NE(room, nullptr);
        for (unsigned i = 0; i < 60; ++i) room[i] = frame();
        transmitter_.added(3, 60);
    }
    EXPECT_EQ(count(Counter::kTxFull), given - Transmitter::kCapacity);
    EXPECT_FALSE(transmitter_.flush());
    const std::uint64_t sent = count(Counter::kTxPort);
    EXPECT_GT(sent, 0u);
    for (unsigned i = 0; i < sent; ++i) ASSERT_TRUE(take_one());
    (void)transmitter_.flush();
    EXPECT_GT(count(Counter::kTxPort), sent);
}

TEST_F(TransmitterTest, a_port_without_link_or_that_is_not_there_drops) {
    shared_.link_up = false;
    transmitter_.put(3, frame());
    transmitter_.put(4, frame());
    transmitter_.put(channel::kNoPort, frame());
    EXPECT_TRUE(transmitter_.flush());
    EXPECT_EQ(count(Counter::kTxPortDown), 3u);
}

// ------------------------------------------------------------------------------- exception TAP

class ExceptionTapTest : public ::testing::Test {
  protected:
    void SetUp() override {
        if (geteuid() != 0 || access("/dev/net/tun", R_OK | W_OK) != 0) {
            GTEST_SKIP() << "needs /dev/net/tun and CAP_NET_ADMIN";
        }
        name_ = "hpt" + std::to_string(getpid());
    }
    std::string name_;
};

TEST_F(ExceptionTapTest, has_the_ports_address_and_carries_frames_both_ways) {
    const MacAddress mac{{0x02, 0, 0, 0, 0x77, 1}};
    auto tap = ExceptionTap::open(name_, mac, 1400);
    ASSERT_TRUE(tap) << tap.error();
    const std::string inspect = "ip link show " + name_ + " | grep -q 'mtu 1400' && ip link show " +
                                name_ + " | grep -q 02:00:00:00:77:01";
    EXPECT_EQ(std::system(inspect.c_str()), 0);  // NOLINT(concurrency-mt-unsafe)
    // The kernel announces itself by a listener report or a router solicitation.
    std::array<std::uint8_t, 2048> room{};
    std::size_t length = 0;
    for (int i = 0; i < 3000 && length == 0; ++i) {
        length = (*tap)->read(room);
        if (length == 0) usleep(1000);
    }
    EXPECT_GT(length, 14u);
    EXPECT_EQ(MacAddress::load(room.data() + 6), mac);
    const std::array<std::uint8_t, 60> frame{0x02, 0, 0, 0, 0x77, 1, 2, 3, 4, 5, 6, 7, 0x86, 0xdd};
    EXPECT_TRUE((*tap)->write(frame));
    EXPECT_FALSE((*tap)->write(std::span(frame).first(3))) << "too short for a frame";
}

TEST_F(ExceptionTapTest, a_name_in_use_is_a_clear_error) {
    const MacAddress mac{{0x02, 0, 0, 0, 0x77, 2}};
    auto first = ExceptionTap::open(name_, mac, 1500);
    ASSERT_TRUE(first) << first.error();
    const auto second = ExceptionTap::open(name_, mac, 1500);
    ASSERT_FALSE(second);
    EXPECT_NE(second.error().find(name_), std::string::npos);
    EXPECT_NE(second.error().find("in use"), std::string::npos);
    const auto loopback = ExceptionTap::open("lo", mac, 1500);
    EXPECT_FALSE(loopback);
}

}  // namespace
}  // namespace homeport::port
