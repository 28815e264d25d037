// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/channel/records.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

namespace homeport::channel {
namespace {

template <class Record>
std::vector<std::uint8_t> octets_of(Record record, std::size_t trailing = 0) {
    record.header.type = Record::kType;
    record.header.length = static_cast<std::uint32_t>(sizeof record + trailing);
    std::vector<std::uint8_t> bytes(sizeof record + trailing, 0x5a);
    std::memcpy(bytes.data(), &record, sizeof record);
    return bytes;
}

/// Takes every record; says how often which one came and with what behind it.
struct Taker {
    int calls = 0;
    unsigned type = 0;
    std::size_t trailing = 0;
    template <class Record>
    void operator()(const Record& record, ConstByteSpan behind) {
        ++calls;
        type = static_cast<unsigned>(record.header.type);
        trailing = behind.size();
    }
};

const WireAddress kV6{*Ipv6Address::parse("2001:db8::1")};
const WireAddress kV4{*Ipv4Address::parse("192.0.2.1")};

template <class Record>
void expect_command(const Record& record, std::size_t trailing = 0) {
    Taker taker;
    const auto bytes = octets_of(record, trailing);
    EXPECT_TRUE(dispatch_command(bytes, taker)) << static_cast<unsigned>(Record::kType);
    EXPECT_EQ(taker.calls, 1);
    EXPECT_EQ(taker.type, static_cast<unsigned>(Record::kType));
    EXPECT_EQ(taker.trailing, trailing);
    // One octet less or more, in the ring or in the header, is never that record.
    for (const int difference : {-8, -1, 1, 8}) {
        auto resized = bytes;
        resized.resize(bytes.size() + static_cast<std::size_t>(difference));
        EXPECT_EQ(dispatch_command(resized, taker).error(), DecodeError::kLength);
        CommandHeader header;
        std::memcpy(&header, resized.data(), sizeof header);
        header.length = static_cast<std::uint32_t>(resized.size());
        std::memcpy(resized.data(), &header, sizeof header);
        EXPECT_EQ(dispatch_command(resized, taker).error(), DecodeError::kLength);
    }
    EXPECT_EQ(taker.calls, 1);
}

template <class Record>
void expect_event(const Record& record, std::size_t trailing = 0) {
    Taker taker;
    auto bytes = octets_of(record, trailing);
    EXPECT_TRUE(dispatch_event(bytes, taker)) << static_cast<unsigned>(Record::kType);
    EXPECT_EQ(taker.type, static_cast<unsigned>(Record::kType));
    EXPECT_EQ(taker.trailing, trailing);
    bytes.pop_back();
    EXPECT_EQ(dispatch_event(bytes, taker).error(), DecodeError::kLength);
    EXPECT_EQ(taker.calls, 1);
}

template <class Record>
void expect_bad_value(const Record& record, std::size_t trailing = 0) {
    Taker taker;
    if constexpr (requires {
                      dispatch_command(ConstByteSpan(), taker);
                      record.header.number;
                  }) {
        EXPECT_EQ(dispatch_command(octets_of(record, trailing), taker).error(),
                  DecodeError::kValue);
    } else {
        EXPECT_EQ(dispatch_event(octets_of(record, trailing), taker).error(), DecodeError::kValue);
    }
    EXPECT_EQ(taker.calls, 0);
}

/// A record with `change` done to it.
template <class Record, class Change>
Record with(Record record, Change change) {
    change(record);
    return record;
}

BindingSet binding() {
    BindingSet record;
    record.home_address = kV6;
    record.care_of_address = kV6;
    record.home_agent_address = kV6;
    return record;
}

TEST(Records, every_command_is_decoded_with_its_exact_length_only) {
    expect_command(BeginSync{});
    expect_command(EndSync{});
    expect_command(with(AddressSet{}, [](auto& r) { r.address = kV4; }));
    expect_command(with(AddressRemove{}, [](auto& r) { r.address = kV6; }));
    expect_command(with(RouteSet{}, [](auto& r) { r.prefix = kV6; }));
    expect_command(with(RouteRemove{}, [](auto& r) { r.prefix = kV4; }));
    expect_command(with(NeighbourSet{}, [](auto& r) { r.address = kV4, r.port = 1; }));
    expect_command(with(NeighbourRemove{}, [](auto& r) { r.address = kV4, r.port = 1; }));
    expect_command(with(HomePrefixSet{}, [](auto& r) { r.prefix = kV6; }));
    expect_command(with(HomePrefixRemove{}, [](auto& r) { r.prefix = kV6; }));
    expect_command(binding());
    expect_command(with(BindingRemove{}, [](auto& r) { r.home_address = kV6; }));
    expect_command(with(MobilePrefixSet{}, [](auto& r) { r.prefix = r.home_address = kV6; }));
    expect_command(with(MobilePrefixRemove{}, [](auto& r) { r.prefix = kV4; }));
    expect_command(with(VpnClientSet{}, [](auto& r) { r.inner = r.outer = r.gateway = kV4; }));
    expect_command(with(VpnClientRemove{}, [](auto& r) { r.inner = kV4; }));
    expect_command(SaSet{});
    expect_command(SaRemove{});
    expect_command(TraceStart{});
    expect_command(TraceStop{});
    expect_command(ParametersSet{});
    expect_command(SpdReplace{});
    expect_command(with(SpdReplace{}, [](auto& r) { r.count = 3; }), 3 * sizeof(PolicyRecord));
    expect_command(with(TransmitPacket{}, [](auto& r) { r.length = 61; }), 61);
    expect_command(with(TransmitFrame{}, [](auto& r) { r.port = 0, r.length = 60; }), 60);
}

TEST(Records, every_event_is_decoded_with_its_exact_length_only) {
    expect_event(with(PortInfo{}, [](auto& r) { r.port = 0; }));
    expect_event(Acknowledge{});
    expect_event(CommandFailed{});
    expect_event(SyncDone{});
    expect_event(with(Punt{}, [](auto& r) { r.reason = PuntReason::kMldQuery, r.length = 77; }),
                 77);
    expect_event(Trace{});
    expect_event(SaHighWater{});
    expect_event(SaLifetime{});
    expect_event(with(PathMtu{}, [](auto& r) { r.home_address = kV6; }));
    expect_event(with(FlowRuleInfo{}, [](auto& r) { r.port = 0, r.rules = 1; }));
    expect_event(with(EspSource{}, [](auto& r) { r.home_address = r.source = kV6; }));
    expect_event(with(EspMapping{}, [](auto& r) {
        r.home_address = kV6;
        r.source = kV4;
        r.port = 4500;
    }));
}

TEST(Records, a_count_that_does_not_fit_its_policies_is_refused) {
    Taker taker;
    const auto huge = with(SpdReplace{}, [](auto& r) { r.count = 0xffffffff; });
    EXPECT_EQ(dispatch_command(octets_of(huge, 152), taker).error(), DecodeError::kLength);
    const auto packet = with(TransmitPacket{}, [](auto& r) { r.length = 0xffff; });
    EXPECT_EQ(dispatch_command(octets_of(packet, 100), taker).error(), DecodeError::kLength);
    expect_bad_value(with(packet, [](auto& r) { r.length = kMaxPacket + 1; }), kMaxPacket + 1);
    expect_bad_value(with(packet, [](auto& r) { r.length = 0; }));
    EXPECT_EQ(taker.calls, 0);
}

TEST(Records, policies_behind_an_spd_come_out_one_by_one) {
    std::vector<std::uint8_t> trailing(2 * sizeof(PolicyRecord));
    PolicyRecord policy;
    policy.id = 7;
    std::memcpy(trailing.data() + sizeof policy, &policy, sizeof policy);
    EXPECT_EQ(policy_at(trailing, 1).id, 7);
    EXPECT_EQ(policy_at(trailing, 0).id, 0);
    EXPECT_TRUE(valid(policy));
    std::memset(policy.name, 'x', sizeof policy.name);
    EXPECT_FALSE(valid(policy));
}

TEST(Records, unknown_types_are_told_from_malformed_ones) {
    Taker taker;
    for (const unsigned type : {0u, 25u, 999u, 0xffffu}) {
        auto bytes = octets_of(BeginSync{});
        const auto value = static_cast<std::uint16_t>(type);
        std::memcpy(bytes.data(), &value, sizeof value);
        EXPECT_EQ(dispatch_command(bytes, taker).error(), DecodeError::kUnknownType) << type;
        EXPECT_EQ(command_error_of(dispatch_command(bytes, taker).error()),
                  CommandError::kUnknownType);
    }
    EXPECT_EQ(dispatch_command({}, taker).error(), DecodeError::kLength);
    EXPECT_EQ(command_error_of(DecodeError::kLength), CommandError::kMalformed);
    EXPECT_EQ(command_error_of(DecodeError::kValue), CommandError::kMalformed);
    EXPECT_EQ(taker.calls, 0);
}

TEST(Records, values_out_of_range_are_refused) {
    expect_bad_value(with(AddressSet{}, [](auto&) {}));  // no family
    expect_bad_value(with(AddressSet{}, [](auto& r) { r.address = kV4, r.prefix_length = 33; }));
    expect_bad_value(with(AddressSet{}, [](auto& r) { r.address = kV6, r.prefix_length = 129; }));
    expect_bad_value(
        with(AddressSet{}, [](auto& r) { r.address = kV6, r.is_home_agent_address = 2; }));
    expect_bad_value(with(AddressSet{}, [](auto& r) { r.address = kV6, r.port = kMaxPorts; }));
    expect_bad_value(with(RouteSet{}, [](auto& r) {
        r.prefix = kV6;
        r.route_type = static_cast<RouteType>(4);
    }));
    expect_bad_value(with(RouteSet{}, [](auto& r) { r.prefix = kV6, r.next_hop.family = 5; }));
    expect_bad_value(with(NeighbourSet{}, [](auto& r) { r.address = kV6; }));  // no port
    expect_bad_value(with(binding(), [](auto& r) { r.prefix_length = 129; }));
    expect_bad_value(with(binding(), [](auto& r) { r.home_address = kV4; }));  // length 128
    expect_bad_value(with(binding(), [](auto& r) { r.care_of_address = kV4; }));
    expect_bad_value(with(binding(), [](auto& r) { r.encapsulation = Encapsulation::kIpv4; }));
    expect_bad_value(
        with(binding(), [](auto& r) { r.encapsulation = static_cast<Encapsulation>(9); }));
    expect_bad_value(with(binding(), [](auto& r) { r.home_agent_address.family = 0; }));
    expect_bad_value(with(MobilePrefixSet{}, [](auto& r) { r.prefix = kV6; }));  // no home address
    expect_bad_value(with(MobilePrefixSet{}, [](auto& r) {
        r.prefix = kV4;
        r.home_address = kV6;
        r.prefix_length = 33;
    }));
    expect_bad_value(with(SaSet{}, [](auto& r) { r.encryption_key_length = 37; }));
    expect_bad_value(with(SaSet{}, [](auto& r) { r.network_count = kMaxSaNetworks + 1; }),
                     (kMaxSaNetworks + 1) * sizeof(SaNetwork));
    expect_bad_value(with(SaSet{}, [](auto& r) { r.integrity_key_length = 65; }));
    expect_bad_value(with(SaSet{}, [](auto& r) { std::memset(r.algorithm, 'a', 32); }));
    expect_bad_value(with(SaSet{}, [](auto& r) { r.direction = static_cast<SaDirection>(2); }));
    expect_bad_value(with(SaSet{}, [](auto& r) { r.selector.protocol = 256; }));
    expect_bad_value(with(SaSet{}, [](auto& r) { r.selector.local_low = kV6; }));
    expect_bad_value(with(PortInfo{}, [](auto&) {}));
    expect_bad_value(
        with(PortInfo{}, [](auto& r) { r.port = 0, std::memset(r.kernel_interface, 'x', 16); }));
    expect_bad_value(with(FlowRuleInfo{}, [](auto& r) { r.rules = 1; }));  // no port
    expect_bad_value(with(FlowRuleInfo{}, [](auto& r) { r.port = 0, r.rules = r.index = 1; }));
    expect_bad_value(with(FlowRuleInfo{}, [](auto& r) {
        r.port = 0, r.rules = 1, r.state = static_cast<FlowRuleState>(0);
    }));
    expect_bad_value(with(FlowRuleInfo{}, [](auto& r) {
        r.port = 0, r.rules = 1, std::memset(r.reason, 'x', sizeof r.reason);
    }));
    expect_bad_value(with(Punt{}, [](auto& r) { r.length = 8; }), 8);  // no reason
    expect_bad_value(with(Trace{}, [](auto& r) { r.captured = 129, r.packet_length = 200; }));
    expect_bad_value(with(CommandFailed{}, [](auto& r) { std::memset(r.text, 'x', 128); }));
}

TEST(Records, random_octets_are_never_delivered_with_a_wrong_length) {
    std::mt19937 random(5);
    Taker taker;
    for (int i = 0; i < 200000; ++i) {
        std::vector<std::uint8_t> bytes(random() % 500);
        for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random() % 4);
        if (bytes.size() >= 8) {
            const auto length = static_cast<std::uint32_t>(bytes.size());
            std::memcpy(bytes.data() + 4, &length, sizeof length);
            bytes[1] = 0;
        }
        const int before = taker.calls;
        (void)dispatch_command(bytes, taker);
        ASSERT_TRUE(taker.calls == before || taker.trailing <= bytes.size());
        (void)dispatch_event(bytes, taker);
        ASSERT_LE(taker.calls, before + 2);
    }
}

TEST(Records, write_record_fills_in_the_header_and_checks_the_trailing_length) {
    alignas(4096) static std::uint8_t memory[ring_region_size(kMinRingCapacity)];
    RingProducer producer(memory, kMinRingCapacity);
    RingConsumer consumer(memory, kMinRingCapacity);
    const std::vector<std::uint8_t> packet(33, 1);
    TransmitPacket record;
    record.length = 34;
    EXPECT_FALSE(write_record(producer, record, packet));
    record.length = 33;
    EXPECT_TRUE(write_record(producer, record, packet));
    producer.publish();
    Taker taker;
    EXPECT_TRUE(dispatch_command(*consumer.peek(), taker));
    EXPECT_EQ(taker.trailing, 33u);
}

TEST(Records, texts_are_cut_to_fit_and_always_end) {
    char text[8];
    copy_text(text, "a long name");
    EXPECT_EQ(text_of(text), "a long ");
    copy_text(text, "ab");
    EXPECT_EQ(text_of(text), "ab");
    std::memset(text, 'x', sizeof text);
    EXPECT_EQ(text_of(text).size(), 8u);
}

}  // namespace
}  // namespace homeport::channel
