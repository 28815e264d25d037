// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <random>
#include <thread>

#include "dataplane/channel/statistics_reader.hpp"
#include "dataplane/channel/statistics_writer.hpp"

namespace homeport::channel {
namespace {

StatisticsShape shape_of(std::uint32_t workers) {
    StatisticsShape shape;
    shape.stages = {"rx", "parse", "tx"};
    shape.edges = {"parse.classify", "parse.drop"};
    shape.workers = workers;
    shape.adjacencies = 5;
    shape.sas = 7;
    shape.policies = 9;
    shape.bindings = 100;
    shape.tsc_hz = 2500000000;
    return shape;
}

StatisticsWriter writer_of(const StatisticsShape& shape) {
    auto writer = StatisticsWriter::create(shape);
    if (!writer) std::abort();
    return std::move(*writer);
}

TEST(Statistics, a_reader_sees_what_the_workers_count_summed_and_each) {
    auto writer = writer_of(shape_of(3));
    for (std::uint32_t w = 0; w < 3; ++w) {
        const WorkerStatistics worker = writer.worker(w);
        worker.count(Counter::kRxPort, 10 + w);
        worker.count(Counter::kUnresolvedToKernel);  // the last one
        bump(worker.stages[1].calls, 1);
        bump(worker.stages[1].packets, 64);
        bump(worker.stages[1].cycles, 1000 * (w + 1));
        bump(worker.edges[1], w);
        store_word(worker.row->lcore, w + 4);
        bump(worker.bindings[99].out_bytes, 1500);
        bump(worker.bindings[99].in_packets, w);
    }
    writer.set(&StatisticsHeader::current_bindings, 42);
    writer.beat();
    writer.beat();

    const auto reader = StatisticsReader::open(writer.region().bytes());
    ASSERT_TRUE(reader) << reader.error().text;
    EXPECT_EQ(reader->counter("rx.port"), 33u);
    EXPECT_EQ(reader->counter("forward.unresolved_to_kernel"), 3u);
    EXPECT_EQ(reader->counter("no.such"), std::nullopt);
    EXPECT_EQ(reader->counters().size(), kCounterCount);
    EXPECT_EQ(reader->counters(2)[0].value, 12u);
    EXPECT_EQ(reader->counters(3)[0].value, 0u) << "there is no worker 3";
    EXPECT_EQ(reader->counters()[0].name, "rx.port");
    EXPECT_EQ(reader->counters()[static_cast<std::size_t>(Counter::kTxFull)].kind,
              CounterKind::kDrop);
    const auto stages = reader->stages();
    ASSERT_EQ(stages.size(), 3u);
    EXPECT_EQ(stages[1].name, "parse");
    EXPECT_EQ(stages[1].calls, 3u);
    EXPECT_EQ(stages[1].packets, 192u);
    EXPECT_EQ(stages[1].cycles, 6000u);
    EXPECT_EQ(reader->stages(0)[1].cycles, 1000u);
    EXPECT_EQ(reader->edges()[1].name, "parse.drop");
    EXPECT_EQ(reader->edges()[1].packets, 3u);
    EXPECT_EQ(reader->edges(2)[1].packets, 2u);
    EXPECT_EQ(reader->workers().at(2).lcore, 6u);
    EXPECT_EQ(reader->binding(99)->out_bytes, 4500u);
    EXPECT_EQ(reader->binding(99)->in_packets, 3u);
    EXPECT_EQ(reader->binding(98)->out_bytes, 0u);
    EXPECT_FALSE(reader->binding(100));
    EXPECT_EQ(reader->value(&StatisticsHeader::current_bindings), 42u);
    EXPECT_EQ(reader->value(&StatisticsHeader::heartbeat), 2u);
    EXPECT_EQ(reader->layout().tsc_hz, 2500000000u);
    EXPECT_GT(reader->layout().started_unix_seconds, 0u);
}

TEST(Statistics, rows_in_use_are_read_with_their_place) {
    auto writer = writer_of(shape_of(1));
    PortRow port;
    port.in_use = 1;
    port.rx_packets = 5;
    writer.set_port(31, port);
    AdjacencyRow adjacency;
    adjacency.in_use = 1;
    adjacency.next_hop = WireAddress(*Ipv6Address::parse("fe80::1"));
    adjacency.mac = *MacAddress::parse("02:00:00:00:00:01");
    adjacency.packets = 9;
    writer.set_adjacency(4, adjacency);
    writer.set_adjacency(5, adjacency);  // beyond the table: ignored
    SaRow sa;
    sa.in_use = 1;
    sa.spi = 0x1234;
    sa.highest_sequence = 77;
    writer.set_sa(0, sa);
    writer.set_sa(7, sa);

    const auto reader = StatisticsReader::open(writer.region().bytes());
    ASSERT_TRUE(reader);
    ASSERT_EQ(reader->ports().size(), 1u);
    EXPECT_EQ(reader->ports()[0].index, 31u);
    EXPECT_EQ(reader->ports()[0].row.rx_packets, 5u);
    ASSERT_EQ(reader->adjacencies().size(), 1u);
    EXPECT_EQ(reader->adjacencies()[0].index, 4u);
    EXPECT_EQ(reader->adjacencies()[0].row.next_hop, adjacency.next_hop);
    EXPECT_EQ(reader->adjacencies()[0].row.mac, adjacency.mac);
    ASSERT_EQ(reader->sas().size(), 1u);
    EXPECT_EQ(reader->sas()[0].row.highest_sequence, 77u);
    writer.set_sa(0, {});
    PolicyRow policy;
    policy.policy_id = 0x6000;
    policy.in_use = 1;
    policy.out_packets = 5;
    writer.set_policy(8, policy);
    writer.set_policy(9, policy);  // beyond the table
    ASSERT_EQ(reader->policies().size(), 1u);
    EXPECT_EQ(reader->policies()[0].index, 8u);
    EXPECT_EQ(reader->policies()[0].row.out_packets, 5u);
    EXPECT_TRUE(reader->sas().empty());
}

TEST(Statistics, a_row_is_never_seen_half_written) {
    auto writer = writer_of(shape_of(1));
    std::atomic<bool> stop{false};
    std::thread main_lcore([&] {
        SaRow row;
        row.in_use = 1;
        for (std::uint64_t i = 1; !stop; ++i) {
            row.packets = row.bytes = row.highest_sequence = i;
            row.errors = row.spi = static_cast<std::uint32_t>(i);
            writer.set_sa(3, row);
        }
    });
    const auto reader = StatisticsReader::open(writer.region().bytes());
    std::uint64_t last = 0;
    for (int i = 0; i < 20000; ++i) {
        for (const auto& [index, row] : reader->sas()) {
            ASSERT_TRUE(row.packets == row.bytes && row.bytes == row.highest_sequence &&
                        row.errors == static_cast<std::uint32_t>(row.packets) &&
                        row.spi == row.errors);
            ASSERT_GE(row.packets, last);
            last = row.packets;
        }
    }
    stop = true;
    main_lcore.join();
}

TEST(Statistics, workers_do_not_share_cache_lines) {
    auto writer = writer_of(shape_of(2));
    const auto first = writer.worker(0), second = writer.worker(1);
    const auto* end = reinterpret_cast<const std::uint8_t*>(first.row + 1);
    EXPECT_LE(end, reinterpret_cast<const std::uint8_t*>(second.counters));
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(second.counters) % 64, 0u);
    EXPECT_EQ(second.bindings - first.bindings, 100);
}

TEST(Statistics, an_impossible_shape_is_refused) {
    auto shape = shape_of(kMaxStatisticsWorkers + 1);
    EXPECT_EQ(StatisticsWriter::create(shape).error().code, ErrorCode::kBadRegion);
    shape = shape_of(1);
    shape.bindings = kMaxStatisticsRows + 1;
    EXPECT_FALSE(StatisticsWriter::create(shape));
    shape = shape_of(0);
    shape.stages.clear();
    shape.edges.clear();
    shape.adjacencies = shape.sas = shape.bindings = 0;
    const auto empty = writer_of(shape);
    const auto reader = StatisticsReader::open(empty.region().bytes());
    ASSERT_TRUE(reader) << reader.error().text;
    EXPECT_EQ(reader->counter("rx.port"), 0u);
}

TEST(Statistics, a_region_that_lies_about_itself_is_refused_or_read_within_its_bounds) {
    auto writer = writer_of(shape_of(2));
    const auto good = writer.region().bytes();
    ASSERT_TRUE(StatisticsReader::open(good));
    EXPECT_FALSE(StatisticsReader::open({}));
    EXPECT_FALSE(StatisticsReader::open(good.first(64)));
    EXPECT_FALSE(StatisticsReader::open(good.first(good.size() - 8)));
    std::mt19937_64 random(3);
    std::vector<std::uint64_t> words(good.size() / 8);
    int opened = 0;
    for (int i = 0; i < 20000; ++i) {
        std::memcpy(words.data(), good.data(), good.size());
        auto* bytes = reinterpret_cast<std::uint8_t*>(words.data());
        for (std::uint64_t changes = 1 + random() % 2; changes > 0; --changes) {
            const std::size_t at = random() % (sizeof(StatisticsHeader) / 4) * 4;
            const auto value =
                static_cast<std::uint32_t>(random() % 2 == 0 ? random() : random() % 4096);
            std::memcpy(bytes + at, &value, sizeof value);
        }
        const auto reader = StatisticsReader::open({bytes, good.size()});
        if (!reader) continue;
        ++opened;
        (void)reader->counters();
        (void)reader->stages();
        (void)reader->edges();
        (void)reader->workers();
        (void)reader->ports();
        (void)reader->adjacencies();
        (void)reader->sas();
        (void)reader->binding(reader->layout().binding_count - 1);
    }
    EXPECT_GT(opened, 0);
}

TEST(Statistics, counter_names_are_unique_and_fit_their_row) {
    for (std::size_t i = 0; i < kCounterCount; ++i) {
        EXPECT_LT(kCounters[i].name.size(), sizeof NameRow{}.name);
        for (std::size_t j = i + 1; j < kCounterCount; ++j) {
            EXPECT_NE(kCounters[i].name, kCounters[j].name);
        }
    }
}

}  // namespace
}  // namespace homeport::channel
