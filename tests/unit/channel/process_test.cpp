// SPDX-License-Identifier: BSD-3-Clause
// Two real processes, either of which is killed in the middle of what it does.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/mman.h>

#include <random>

#include "tests/unit/channel/support.hpp"

namespace homeport::channel {
namespace {

using namespace test;
using Kind = ServerEvent::Kind;
using std::chrono::steady_clock;

/// Commands whose contents can be checked: a packet of octets that depend on the number.
std::size_t length_of(std::uint64_t number) {
    return 1 + number * 2654435761u % 300;
}

bool send_numbered(Client& client) {
    const std::uint64_t number = client.last_number() + 1;
    TransmitPacket packet;
    packet.length = static_cast<std::uint16_t>(length_of(number));
    packet.header.number = number;
    const std::vector<std::uint8_t> octets(packet.length, static_cast<std::uint8_t>(number));
    return client.send(packet, octets).has_value();
}

/// Reads commands, checks that they are whole and in order from 1.
struct Reader {
    std::uint64_t last = 0;
    bool right = true;

    void operator()(const TransmitPacket& packet, ConstByteSpan octets) {
        right = right && packet.header.number == last + 1 && octets.size() == length_of(last + 1);
        for (const auto octet : octets) {
            right = right && octet == static_cast<std::uint8_t>(last + 1);
        }
        ++last;
    }
    template <class Other>
    void operator()(const Other&, ConstByteSpan) {
        right = false;
    }
    /// Reads what is there; false when it was not what it had to be.
    bool read(Server& server) {
        while (const auto record = server.commands().peek()) {
            if (!dispatch_command(*record, *this) || !right) return false;
            server.commands().release();
        }
        server.commands().publish();
        return !server.commands().broken();
    }
};

/// At least 20 rounds, and as many up to 300 as two seconds allow.
struct Rounds {
    steady_clock::time_point end = steady_clock::now() + std::chrono::seconds(2);
    [[nodiscard]] bool more_after(int rounds) const {
        return rounds < 20 || (rounds < 300 && steady_clock::now() < end);
    }
};

/// Sends batches of random size for ever, with a pause in the middle of some.
int run_talkative_client(const std::string& path, unsigned seed) {
    auto client = Client::connect(path, Role::kControlPlane, "child", kPatience);
    if (!client) return 1;
    std::minstd_rand random(seed);
    for (;;) {
        for (auto batch = 1 + random() % 40; batch > 0; --batch) {
            if (!send_numbered(*client)) break;
        }
        if (random() % 4 != 0) client->flush();
    }
}

TEST(Processes, sigkill_of_the_control_plane_in_the_middle_of_a_batch) {
    SKIP_UNDER_TSAN();
    const ScratchDirectory directory;
    const std::string path = directory.file("channel");
    TestServer data_plane(path);
    std::mt19937 random(1);
    const Rounds some;
    for (int rounds = 0; some.more_after(rounds); ++rounds) {
        const auto seed = static_cast<unsigned>(random());
        Child child([&] { return run_talkative_client(path, seed); });
        ASSERT_EQ(data_plane.next_event().kind, Kind::kAttached) << "round " << rounds;
        Reader reader;
        const std::uint64_t kill_after = random() % 3000;
        ASSERT_TRUE(eventually([&] {
            return !reader.read(data_plane.server) || reader.last >= kill_after;
        })) << "round "
            << rounds;
        child.kill();
        const ServerEvent event = data_plane.next_event();
        ASSERT_EQ(event.kind, Kind::kDetached) << event.text;
        ASSERT_TRUE(reader.read(data_plane.server)) << "what it published is whole";
        ASSERT_TRUE(reader.right) << "round " << rounds << " after " << reader.last;
    }
}

/// Serves for ever: reads what comes, sends events.
int run_server(const std::string& path) {
    TestServer data_plane(path);
    Reader reader;
    std::uint64_t number = 0;
    for (;;) {
        if (data_plane.server.poll().kind == Kind::kAttached) {
            reader = {};
            number = 0;
        }
        if (!reader.read(data_plane.server)) return 1;
        SyncDone event;
        while (event.epoch = number + 1, data_plane.server.send(event)) ++number;
        data_plane.server.flush();
    }
}

struct EventReader {
    std::uint64_t last = 0;
    bool right = true;
    void operator()(const SyncDone& event, ConstByteSpan) {
        right = right && event.epoch == last + 1;
        ++last;
    }
    template <class Other>
    void operator()(const Other&, ConstByteSpan) {
        right = false;
    }
};

TEST(Processes, sigkill_of_the_data_plane_in_the_middle_of_a_batch) {
    SKIP_UNDER_TSAN();
    const ScratchDirectory directory;
    const std::string path = directory.file("channel");
    std::mt19937 random(2);
    const Rounds some;
    for (int rounds = 0; some.more_after(rounds); ++rounds) {
        Child child([&] { return run_server(path); });
        std::expected<Client, Error> client = std::unexpected(Error{});
        ASSERT_TRUE(eventually([&] {
            client = Client::connect(path, Role::kControlPlane, "test", kPatience);
            return client.has_value();
        })) << client.error().text;
        EventReader reader;
        const std::uint64_t kill_after = random() % 3000;
        PollResult result;
        ASSERT_TRUE(eventually([&] {
            send_numbered(*client);
            client->flush();
            result = client->poll_events(64, reader);
            return result.broken || result.malformed != 0 || reader.last >= kill_after;
        })) << reader.last;
        child.kill();
        ASSERT_TRUE(eventually([&] { return client->closed(); }));
        // What is left in the ring is whole; then nothing comes any more, and nothing hangs.
        do {
            result = client->poll_events(64, reader);
            ASSERT_FALSE(result.broken);
            ASSERT_EQ(result.malformed, 0u);
        } while (result.events != 0);
        ASSERT_TRUE(reader.right);
        while (send_numbered(*client)) client->flush();
        pollfd socket{client->socket_fd(), POLLIN, 0};
        ASSERT_EQ(::poll(&socket, 1, 0), 1) << "an event loop sees the end";
    }
}

TEST(Processes, a_child_that_writes_garbage_everywhere_is_thrown_out) {
    SKIP_UNDER_TSAN();
    const ScratchDirectory directory;
    const std::string path = directory.file("channel");
    TestServer data_plane(path);
    std::mt19937 random(3);
    const Rounds some;
    int rounds = 0, thrown_out = 0;
    for (; some.more_after(rounds); ++rounds) {
        const auto seed = static_cast<unsigned>(random());
        Child child([&] {
            RawClient client;
            const Hello hello = make_hello(Role::kControlPlane, "garbage");
            client.say(path, {reinterpret_cast<const std::uint8_t*>(&hello), sizeof hello});
            if (!client.read_reply() || client.fds.size() != kControlPlaneDescriptors) return 1;
            std::mt19937_64 noise(seed);
            const std::size_t size = ring_region_size(client.reply.command_capacity);
            std::vector<Region> regions;
            for (const std::size_t i : {0u, 1u}) {
                auto region = Region::map(std::move(client.fds[i]), size, PeerAccess::kReadWrite,
                                          CoreDump::kInclude);
                if (!region) return 2;
                regions.push_back(std::move(*region));
            }
            for (;;) {
                const auto bytes = regions[noise() % 2].writable_bytes();
                const std::uint64_t word = noise() % 2 == 0 ? noise() : noise() % 65536 / 8 * 8;
                // Mostly the indices, some of the frames.
                const std::size_t at =
                    noise() % 2 == 0 ? noise() % 17 * 8 : kRingDataOffset + noise() % 64 * 8;
                std::memcpy(bytes.data() + at, &word, sizeof word);
            }
        });
        ASSERT_EQ(data_plane.next_event().kind, Kind::kAttached);
        bool detached = false;
        for (int i = 0; i < 20000 && !detached; ++i) {
            Acknowledge event;
            (void)data_plane.server.send(event);
            data_plane.server.flush();
            for (int n = 0; n < 64; ++n) {
                const auto record = data_plane.server.commands().peek();
                if (!record) break;
                auto ignore = [](const auto&, ConstByteSpan) {};
                (void)dispatch_command(*record, ignore);
                data_plane.server.commands().release_and_wipe();
            }
            data_plane.server.commands().publish();
            detached = data_plane.server.poll().kind == Kind::kDetached;
        }
        thrown_out += detached ? 1 : 0;
        child.kill();
        if (!detached) {
            ASSERT_EQ(data_plane.next_event().kind, Kind::kDetached);
        }
    }
    EXPECT_GT(thrown_out, rounds / 2);
}

TEST(Processes, a_sleeping_control_plane_misses_no_event) {
    SKIP_UNDER_TSAN();
    const ScratchDirectory directory;
    const std::string path = directory.file("channel");
    TestServer data_plane(path);
    constexpr std::uint64_t kEvents = 20000;
    Child child([&] {
        auto client = Client::connect(path, Role::kControlPlane, "child", kPatience);
        if (!client) return 1;
        EventReader reader;
        while (reader.last < kEvents) {
            client->woken();
            while (client->poll_events(16, reader).events == 16) {
            }
            if (reader.last >= kEvents || !client->prepare_sleep()) continue;
            pollfd event{client->event_fd(), POLLIN, 0};
            if (::poll(&event, 1, 10000) != 1) return 2;  // a lost wake-up
        }
        return reader.right ? 0 : 3;
    });
    ASSERT_EQ(data_plane.next_event().kind, Kind::kAttached);
    std::mt19937 random(4);
    for (std::uint64_t number = 1; number <= kEvents; ++number) {
        SyncDone event;
        event.epoch = number;
        ASSERT_TRUE(eventually([&] {
            const bool sent = data_plane.server.send(event);
            if (!sent) data_plane.server.flush();
            return sent;
        }));
        if (number == kEvents || random() % 3 == 0) data_plane.server.flush();
        if (random() % 64 == 0) ::sched_yield();
    }
    EXPECT_EQ(child.wait(), 0);
}

}  // namespace
}  // namespace homeport::channel
