// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/port/flow_steering.hpp"

#include <gtest/gtest.h>
#include <rte_ethdev.h>
#include <rte_flow.h>
#include <rte_mbuf.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <set>

#include "dataplane/channel/records.hpp"
#include "dataplane/port/port.hpp"
#include "tests/unit/stage/eal.hpp"

namespace homeport::port {
namespace {

using channel::FlowRuleRefusal;
using channel::FlowRuleState;

/// A driver as the test wants it.
class FakeBackend final : public FlowBackend {
  public:
    std::function<bool(const std::string&)> valid = [](const std::string&) { return true; };
    std::function<bool(const std::string&)> creates = [](const std::string&) { return true; };
    bool destroys = true;
    std::vector<std::string> log;
    std::set<rte_flow*> flows;

    std::expected<void, FlowError> validate(std::uint16_t, const FlowArguments& rule) override {
        const std::string what = describe(rule);
        log.push_back("validate " + what);
        if (valid(what)) return {};
        return std::unexpected(FlowError{EINVAL, RTE_FLOW_ERROR_TYPE_ITEM_MASK, "wrong mask"});
    }
    std::expected<rte_flow*, FlowError> create(std::uint16_t, const FlowArguments& rule) override {
        const std::string what = describe(rule);
        log.push_back("create " + what);
        if (!creates(what)) {
            return std::unexpected(FlowError{ENOSPC, RTE_FLOW_ERROR_TYPE_HANDLE, ""});
        }
        auto* const flow = reinterpret_cast<rte_flow*>(++next_);
        flows.insert(flow);
        return flow;
    }
    std::expected<void, FlowError> destroy(std::uint16_t, rte_flow* flow) override {
        log.push_back("destroy");
        EXPECT_EQ(flows.erase(flow), 1u) << "destroyed twice, or never created";
        if (destroys) return {};
        return std::unexpected(FlowError{EBUSY, RTE_FLOW_ERROR_TYPE_STATE, "in use"});
    }

  private:
    /// The last item's type and the queue: enough to tell rules apart here.
    static std::string describe(const FlowArguments& rule) {
        const rte_flow_item* item = rule.items();
        std::string text;
        for (; item->type != RTE_FLOW_ITEM_TYPE_END; ++item) {
            text += item->type == RTE_FLOW_ITEM_TYPE_ESP    ? " esp"
                    : item->type == RTE_FLOW_ITEM_TYPE_UDP  ? " udp"
                    : item->type == RTE_FLOW_ITEM_TYPE_IPV4 ? " ipv4"
                    : item->type == RTE_FLOW_ITEM_TYPE_IPV6 ? " ipv6"
                                                            : "eth";
        }
        return text;
    }
    std::uintptr_t next_ = 0;
};

PmdConfig family_of(std::vector<FlowMatch> matches) {
    PmdConfig family;
    family.name = "test";
    for (const FlowMatch match : matches) {
        family.flow_rules.push_back({std::string(name_of(match)), "queue", ""});
    }
    return family;
}
const PmdConfig kTakesAll =
    family_of({FlowMatch::kUdpDestinationPort, FlowMatch::kNextHeader, FlowMatch::kEspSpiMasked,
               FlowMatch::kUdpEspSpiMasked, FlowMatch::kUdpInnerNextHeader});
const QueueLayout kOneWorker{.workers = {0}, .signalling = 1};
const QueueLayout kTwoWorkers{.workers = {0, 1}, .signalling = 2};

const FlowRecord& record_of(const FlowSteering& steering, const std::string& name) {
    const auto records = steering.records();
    const auto found = std::ranges::find_if(
        records, [&](const FlowRecord& record) { return record.rule.name == name; });
    EXPECT_NE(found, records.end()) << name;
    return *found;
}

TEST(FlowSteering, all_that_is_accepted_is_installed_and_given_back_at_the_end) {
    FakeBackend backend;
    {
        FlowSteering steering(backend, 0);
        steering.install(kTwoWorkers, kTakesAll, true);
        for (const FlowRecord& record : steering.records()) {
            if (record.rule.instead_of >= 0) {
                EXPECT_EQ(record.refusal, FlowRuleRefusal::kNotWanted) << record.rule.name;
                continue;
            }
            EXPECT_EQ(record.state, FlowRuleState::kInstalled) << record.rule.name;
            EXPECT_EQ(record.refusal, FlowRuleRefusal::kNone);
            EXPECT_TRUE(record.reason.empty());
        }
        EXPECT_EQ(steering.installed(), 16u);
        EXPECT_EQ(backend.flows.size(), 16u);
        EXPECT_TRUE(steering.separates_signalling());
        steering.remove();
        EXPECT_TRUE(backend.flows.empty());
        EXPECT_EQ(steering.installed(), 0u);
        EXPECT_FALSE(steering.separates_signalling());
        steering.install(kTwoWorkers, kTakesAll, true);  // the port starts again
        EXPECT_EQ(backend.flows.size(), 16u);
    }
    EXPECT_TRUE(backend.flows.empty());
}

TEST(FlowSteering, a_rule_is_validated_before_it_is_created) {
    FakeBackend backend;
    FlowSteering steering(backend, 0);
    steering.install(kOneWorker, kTakesAll, true);
    for (std::size_t i = 0; i + 1 < backend.log.size(); i += 2) {
        EXPECT_EQ(backend.log[i].substr(0, 9), "validate ");
        EXPECT_EQ(backend.log[i + 1], "create " + backend.log[i].substr(9));
    }
}

TEST(FlowSteering, a_refusal_is_told_in_the_drivers_words_and_the_others_are_installed) {
    FakeBackend backend;
    backend.valid = [](const std::string& rule) { return rule.find("esp") == std::string::npos; };
    FlowSteering steering(backend, 0);
    steering.install(kOneWorker, kTakesAll, true);
    const FlowRecord& refused = record_of(steering, "signalling esp ipv6");
    EXPECT_EQ(refused.state, FlowRuleState::kSoftware);
    EXPECT_EQ(refused.refusal, FlowRuleRefusal::kValidate);
    EXPECT_EQ(refused.reason, "mask of an item (Invalid argument): wrong mask");
    EXPECT_EQ(record_of(steering, "mobility header").state, FlowRuleState::kInstalled);
    // ESP in UDP 4500 cannot be told apart: the whole port goes there, with one worker.
    EXPECT_EQ(record_of(steering, "udp 4500").state, FlowRuleState::kInstalled);
    EXPECT_EQ(record_of(steering, "udp 4191").refusal, FlowRuleRefusal::kNotWanted);
    EXPECT_FALSE(steering.separates_signalling()) << "sealed signalling is left to software";
    const channel::FlowRuleInfo info = info_of(refused);
    EXPECT_EQ(info.error_type, RTE_FLOW_ERROR_TYPE_ITEM_MASK);
    EXPECT_EQ(info.error_code, EINVAL);
    EXPECT_EQ(channel::text_of(info.match),
              "eth / ipv6 / esp spi spec 0x80000000 spi mask 0xc0000000 / end");
    EXPECT_EQ(channel::text_of(info.action), "queue index 1");
    EXPECT_EQ(channel::text_of(info.reason), refused.reason);
}

TEST(FlowSteering, a_whole_port_is_not_given_to_one_of_several_workers) {
    FakeBackend backend;
    backend.valid = [](const std::string& rule) { return rule.find("esp") == std::string::npos; };
    FlowSteering steering(backend, 0);
    steering.install(kTwoWorkers, kTakesAll, true);
    EXPECT_EQ(record_of(steering, "udp 4500").refusal, FlowRuleRefusal::kNotWanted);
    EXPECT_NE(record_of(steering, "udp 4500").reason.find("one worker"), std::string::npos);
    EXPECT_EQ(record_of(steering, "owner 1 esp ipv4").refusal, FlowRuleRefusal::kValidate);
}

TEST(FlowSteering, an_error_in_create_after_validate_is_survived) {
    FakeBackend backend;
    int created = 0;
    backend.creates = [&](const std::string&) { return ++created <= 3; };  // its table is full
    FlowSteering steering(backend, 0);
    steering.install(kTwoWorkers, kTakesAll, true);
    EXPECT_EQ(steering.installed(), 3u);
    const FlowRecord& refused = record_of(steering, "mobility header");
    EXPECT_EQ(refused.refusal, FlowRuleRefusal::kCreate);
    EXPECT_EQ(refused.reason, "flow rule (No space left on device)");
    EXPECT_FALSE(steering.separates_signalling());
    steering.remove();
    EXPECT_TRUE(backend.flows.empty());
    EXPECT_EQ(std::ranges::count(backend.log, "destroy"), 3);
}

TEST(FlowSteering, the_coarse_rule_stands_in_for_the_fine_one) {
    FakeBackend backend;
    backend.valid = [](const std::string& rule) {
        return rule != "eth ipv4 udp ipv6" && rule != "eth ipv4 udp esp";
    };
    FlowSteering steering(backend, 0);
    steering.install(kOneWorker, kTakesAll, true);
    EXPECT_EQ(record_of(steering, "udp 4191").state, FlowRuleState::kInstalled);
    EXPECT_EQ(record_of(steering, "udp 4500").state, FlowRuleState::kInstalled);
    // "ike udp 4500" is refused as well, and has no stand-in of its own.
    EXPECT_FALSE(steering.separates_signalling());
}

TEST(FlowSteering, a_rule_that_cannot_be_removed_is_told) {
    FakeBackend backend;
    backend.destroys = false;
    FlowSteering steering(backend, 0);
    steering.install(kOneWorker, family_of({FlowMatch::kNextHeader}), true);
    steering.remove();
    ASSERT_EQ(steering.warnings().size(), 2u);
    EXPECT_EQ(steering.warnings()[0],
              "flow rule 'mobility header' cannot be removed: state of the device "
              "(Device or resource busy): in use");
}

TEST(FlowSteering, the_family_is_honoured_and_the_driver_not_asked) {
    FakeBackend backend;
    FlowSteering steering(backend, 0);
    steering.install(kTwoWorkers, family_of({FlowMatch::kNextHeader}), true);
    EXPECT_EQ(steering.installed(), 2u);
    EXPECT_EQ(backend.log.size(), 4u);
    const FlowRecord& refused = record_of(steering, "owner 0 esp udp 4500");
    EXPECT_EQ(refused.refusal, FlowRuleRefusal::kFamily);
    EXPECT_EQ(refused.reason, "pmd-config/test.yaml does not name udp_esp_spi_masked");
    // A rule of the same match with another action than queue is none.
    PmdConfig marks = family_of({FlowMatch::kNextHeader});
    marks.flow_rules[0].action = "mark";
    steering.install(kOneWorker, marks, true);
    EXPECT_EQ(steering.installed(), 0u);
}

TEST(FlowSteering, without_a_queue_of_its_own_signalling_is_not_asked_for) {
    FakeBackend backend;
    FlowSteering steering(backend, 0);
    steering.install({.workers = {0, 1}, .signalling = {}}, kTakesAll, true);
    EXPECT_EQ(record_of(steering, "mobility header").refusal, FlowRuleRefusal::kNoQueue);
    EXPECT_EQ(record_of(steering, "owner 1 esp ipv6").state, FlowRuleState::kInstalled);
    EXPECT_FALSE(steering.separates_signalling());
}

TEST(FlowSteering, rules_that_the_operator_does_not_want_are_listed_all_the_same) {
    FakeBackend backend;
    FlowSteering steering(backend, 0);
    steering.install(kTwoWorkers, kTakesAll, false);
    EXPECT_TRUE(backend.log.empty());
    EXPECT_EQ(steering.records().size(), 18u);
    for (const FlowRecord& record : steering.records()) {
        EXPECT_EQ(record.refusal, FlowRuleRefusal::kNotWanted);
        EXPECT_EQ(record.reason, "flow_rules of the port is off");
    }
}

/// The drivers that run everywhere: what they really say.
class RealDrivers : public ::testing::Test {
  protected:
    static void SetUpTestSuite() { testing::start_eal(); }
    void SetUp() override {
        auto configs = PmdConfigs::load(HOMEPORT_SOURCE_ROOT "/pmd-config");
        ASSERT_TRUE(configs) << configs.error();
        configs_ = std::move(*configs);
        pool_ = rte_pktmbuf_pool_create("flows", 4095, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, 0);
        ASSERT_NE(pool_, nullptr);
    }
    void TearDown() override {
        port_.reset();
        rte_mempool_free(pool_);
    }
    /// Opens `device` with all rules tried, whatever its family says.
    void open(const std::string& device) {
        config::PortConfig config;
        config.name = "p";
        config.device = device;
        auto opened = Port::open(config, configs_, 1);
        ASSERT_TRUE(opened) << opened.error();
        port_ = std::move(*opened);
        const auto started = port_->start(pool_);
        ASSERT_TRUE(started) << started.error();
    }

    PmdConfigs configs_;
    rte_mempool* pool_ = nullptr;
    std::unique_ptr<Port> port_;
};

TEST_F(RealDrivers, null_and_ring_have_no_rte_flow_and_say_so) {
    for (const char* device : {"net_null20,no-rx=1", "net_ring20"}) {
        open(device);
        FlowSteering steering(rte_flow_backend(), port_->id());
        steering.install(kTwoWorkers, kTakesAll, true);
        EXPECT_EQ(steering.installed(), 0u) << device;
        const FlowRecord& refused = record_of(steering, "signalling esp ipv6");
        EXPECT_EQ(refused.refusal, FlowRuleRefusal::kValidate) << device;
        EXPECT_NE(refused.error.code, 0) << device;
        EXPECT_FALSE(refused.reason.empty()) << device;
        port_.reset();
    }
}

TEST_F(RealDrivers, what_a_port_was_opened_with_is_what_it_says) {
    open("net_null21,no-rx=1");
    EXPECT_FALSE(port_->signalling_queue());
    EXPECT_EQ(port_->look_ahead(), 0u) << "a source that loses nothing";
    for (const FlowRecord& record : port_->flow_records()) {
        EXPECT_EQ(record.state, FlowRuleState::kSoftware);
        EXPECT_FALSE(record.reason.empty());
    }
    port_.reset();
    open("net_ring21");
    EXPECT_FALSE(port_->signalling_queue());
    EXPECT_EQ(port_->look_ahead(), 0u) << "its other end waits, too";
}

TEST_F(RealDrivers, tap_takes_udp_over_ip_and_refuses_esp) {
    if (access("/dev/net/tun", R_OK | W_OK) != 0 || geteuid() != 0) GTEST_SKIP() << "no TAP here";
    open("net_tap20,iface=hpflow" + std::to_string(getpid() % 10000));
    FlowSteering steering(rte_flow_backend(), port_->id());
    steering.install(kOneWorker, kTakesAll, true);
    const FlowRecord& esp = record_of(steering, "signalling esp ipv6");
    EXPECT_EQ(esp.refusal, FlowRuleRefusal::kValidate);
    EXPECT_FALSE(esp.reason.empty());
    // It may be installed where the kernel has tc flower; if not, the reason comes from create.
    const FlowRecord& udp = record_of(steering, "udp 434");
    if (udp.state == FlowRuleState::kSoftware) {
        EXPECT_FALSE(udp.reason.empty());
        EXPECT_NE(udp.error.code, 0);
    }
    steering.remove();
    EXPECT_TRUE(steering.warnings().empty());
}

}  // namespace
}  // namespace homeport::port
