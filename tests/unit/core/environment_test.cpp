// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/core/environment.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>

#include "dataplane/core/log.hpp"

namespace homeport::core {
namespace {

config::DataplaneConfig workers(unsigned count) {
    config::DataplaneConfig config;
    config.workers.count = count;
    return config;
}
config::DataplaneConfig on_lcores(std::vector<unsigned> lcores) {
    config::DataplaneConfig config;
    config.workers.count = static_cast<unsigned>(lcores.size());
    config.workers.lcores = std::move(lcores);
    return config;
}
bool has(const EalPlan& plan, const std::string& argument) {
    return std::ranges::find(plan.arguments, argument) != plan.arguments.end();
}

TEST(Lcores, each_on_the_cpu_of_its_number) {
    const auto plan = plan_lcores(workers(2), {0, 1, 2, 3});
    ASSERT_TRUE(plan) << plan.error();
    EXPECT_EQ(plan->workers, (std::vector<unsigned>{1, 2}));
    EXPECT_EQ(plan->eal_argument, "0@0,1@1,2@2");
    EXPECT_TRUE(plan->warning.empty());
}

TEST(Lcores, too_few_cpus_are_shared_with_a_warning) {
    const auto plan = plan_lcores(workers(3), {0, 1});
    ASSERT_TRUE(plan) << plan.error();
    EXPECT_EQ(plan->workers.size(), 3u);
    EXPECT_EQ(plan->eal_argument, "(0,1,2,3)@(0,1)");
    EXPECT_NE(plan->warning.find("4 lcores"), std::string::npos);
}

TEST(Lcores, a_process_without_cpu_0_floats_over_what_it_has) {
    const auto plan = plan_lcores(workers(1), {4, 5});
    ASSERT_TRUE(plan) << plan.error();
    EXPECT_EQ(plan->workers, (std::vector<unsigned>{4}));
    EXPECT_EQ(plan->eal_argument, "(0,4)@(4,5)");
}

TEST(Lcores, a_configured_one_without_cpu_is_an_error) {
    const auto plan = plan_lcores(on_lcores({1, 9}), {0, 1, 2});
    ASSERT_FALSE(plan);
    EXPECT_NE(plan.error().find("lcore 9"), std::string::npos);
    EXPECT_FALSE(plan_lcores(on_lcores({0}), {0, 1})) << "main_lcore as a worker";
    EXPECT_FALSE(plan_lcores(on_lcores({500}), {0, 1}));
}

TEST(Eal, huge_pages_are_used_if_there_are_enough) {
    config::DataplaneConfig config;
    config.memory_mb = 512;
    const LcorePlan lcores{
        .main_lcore = 0, .workers = {1}, .eal_argument = "0@0,1@1", .warning = ""};
    auto plan = plan_eal(config, lcores, {}, 512ull << 20);
    ASSERT_TRUE(plan);
    EXPECT_TRUE(has(*plan, "--in-memory"));
    EXPECT_TRUE(plan->warning.empty());

    plan = plan_eal(config, lcores, {}, 100ull << 20);
    ASSERT_TRUE(plan);
    EXPECT_TRUE(has(*plan, "--no-huge"));
    EXPECT_FALSE(has(*plan, "--in-memory"));
    EXPECT_NE(plan->warning.find("1.5 times"), std::string::npos);

    config.huge_pages = config::HugePages::kOn;
    const auto refused = plan_eal(config, lcores, {}, 100ull << 20);
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().find("100 MiB"), std::string::npos);

    config.huge_pages = config::HugePages::kOff;
    plan = plan_eal(config, lcores, {}, 512ull << 20);
    ASSERT_TRUE(plan);
    EXPECT_TRUE(has(*plan, "--no-huge"));
    EXPECT_TRUE(plan->warning.empty()) << "it was asked for";
}

TEST(Eal, only_configured_pci_devices_are_touched) {
    config::DataplaneConfig config;
    const LcorePlan lcores{
        .main_lcore = 0, .workers = {1}, .eal_argument = "0@0,1@1", .warning = ""};
    config.ports = {{.name = "a", .device = "net_tap0,iface=x", .tap = "", .mac = {}}};
    auto plan = plan_eal(config, lcores, {}, 0);
    ASSERT_TRUE(plan);
    EXPECT_TRUE(has(*plan, "--no-pci"));
    config.ports.push_back({.name = "b", .device = "0000:03:00.0,x=1", .tap = "", .mac = {}});
    config.eal_args = {"--from-config"};
    plan = plan_eal(config, lcores, {"--from-line"}, 0);
    ASSERT_TRUE(plan);
    EXPECT_FALSE(has(*plan, "--no-pci"));
    EXPECT_TRUE(has(*plan, "0000:03:00.0,x=1"));
    EXPECT_TRUE(has(*plan, "--from-config"));
    EXPECT_EQ(plan->arguments.back(), "--from-line");
}

TEST(Environment, the_processor_that_compiled_this_can_run_it) {
    EXPECT_TRUE(missing_cpu_features().empty());
    EXPECT_FALSE(allowed_cpus().empty());
}

TEST(Messages, each_has_a_paragraph_in_the_manual) {
    std::ifstream file(HOMEPORT_SOURCE_ROOT "/docs/messages-dataplane.md");
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    ASSERT_FALSE(text.empty());
    for (const MessageDescription& message : all_messages()) {
        char id[32];
        std::snprintf(id, sizeof id, "**HP-DP-%04u** ", static_cast<unsigned>(message.message));
        EXPECT_NE(text.find(id), std::string::npos) << id;
    }
}

}  // namespace
}  // namespace homeport::core
