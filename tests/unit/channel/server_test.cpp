// SPDX-License-Identifier: BSD-3-Clause
// The hand-shake, attachments and their end. Clients live in threads or in this very thread.
#include "dataplane/channel/server.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <thread>

#include "dataplane/channel/client.hpp"
#include "dataplane/channel/socket.hpp"
#include "dataplane/channel/statistics_reader.hpp"
#include "tests/unit/channel/support.hpp"

namespace homeport::channel {
namespace {

using namespace test;
using Kind = ServerEvent::Kind;
using ::testing::HasSubstr;

struct Ignore {
    template <class Record>
    void operator()(const Record&, ConstByteSpan) {}
};

template <class Wanted>
struct Collect {
    std::vector<Wanted> records;
    void operator()(const Wanted& record, ConstByteSpan) { records.push_back(record); }
    template <class Other>
    void operator()(const Other&, ConstByteSpan) {}
};

ConstByteSpan octets(const Hello& hello) {
    return {reinterpret_cast<const std::uint8_t*>(&hello), sizeof hello};
}

struct Attachment : ::testing::Test {
    ScratchDirectory directory;
    std::string path = directory.file("channel");
    TestServer data_plane{path};

    Client attach() {
        auto client = connect_while_polling(data_plane, path, Role::kControlPlane);
        if (!client) {
            ADD_FAILURE() << client.error().text;
            std::abort();
        }
        return std::move(*client);
    }
    /// What a client of one hand-made hello is told, and what the server reports.
    RawClient say(const Hello& hello, ServerEvent* event = nullptr) {
        RawClient client;
        client.say(path, octets(hello));
        const ServerEvent seen = data_plane.next_event();
        if (event != nullptr) *event = seen;
        EXPECT_TRUE(client.read_reply());
        return client;
    }
};

TEST_F(Attachment, commands_and_events_pass_both_ways) {
    ServerEvent event;
    auto client = connect_while_polling(data_plane, path, Role::kControlPlane, &event);
    ASSERT_TRUE(client) << client.error().text;
    EXPECT_EQ(event.kind, Kind::kAttached);
    EXPECT_THAT(event.text, HasSubstr("pid " + std::to_string(::getpid())));
    EXPECT_THAT(event.text, HasSubstr("cp-build"));
    EXPECT_EQ(client->data_plane_build_id(), "dp-build");
    EXPECT_EQ(data_plane.server.peer().pid, ::getpid());
    EXPECT_EQ(data_plane.server.peer().uid, ::getuid());

    BeginSync begin;
    begin.epoch = 9;
    EXPECT_EQ(client->send(begin), 1u);
    EXPECT_FALSE(data_plane.server.commands().peek()) << "not flushed yet";
    TransmitPacket packet;
    packet.length = 3;
    const std::uint8_t octets_behind[3] = {1, 2, 3};
    EXPECT_EQ(client->send(packet, octets_behind), 2u);
    EXPECT_EQ(client->send(packet).error(), SendError::kMalformed);
    EXPECT_EQ(client->last_number(), 2u);
    client->flush();

    Collect<BeginSync> begins;
    ASSERT_TRUE(dispatch_command(*data_plane.server.commands().peek(), begins));
    ASSERT_EQ(begins.records.size(), 1u);
    EXPECT_EQ(begins.records[0].epoch, 9u);
    EXPECT_EQ(begins.records[0].header.number, 1u);
    data_plane.server.commands().release();
    const auto second = data_plane.server.commands().peek();
    ASSERT_TRUE(second);
    EXPECT_EQ(second->back(), 3);
    data_plane.server.commands().release();
    data_plane.server.commands().publish();

    Acknowledge acknowledge;
    acknowledge.number = 2;
    EXPECT_TRUE(data_plane.server.send(acknowledge));
    data_plane.server.flush();
    Collect<Acknowledge> acknowledged;
    const PollResult result = client->poll_events(10, acknowledged);
    EXPECT_EQ(result.events, 1u);
    EXPECT_EQ(result.malformed, 0u);
    EXPECT_FALSE(result.broken);
    ASSERT_EQ(acknowledged.records.size(), 1u);
    EXPECT_EQ(acknowledged.records[0].number, 2u);
}

TEST_F(Attachment, a_full_command_ring_says_so_and_goes_on_later) {
    auto client = attach();
    ParametersSet parameters;
    std::uint64_t sent = 0;
    for (;;) {
        const auto number = client.send(parameters);
        if (!number) {
            EXPECT_EQ(number.error(), SendError::kFull);
            break;
        }
        EXPECT_EQ(*number, ++sent);
    }
    EXPECT_EQ(client.last_number(), sent) << "a refused command uses up no number";
    client.flush();
    while (data_plane.server.commands().peek()) data_plane.server.commands().release();
    data_plane.server.commands().publish();
    EXPECT_EQ(client.send(parameters), sent + 1);

    SpdReplace spd;
    spd.count = 1000;
    const std::vector<std::uint8_t> policies(1000 * sizeof(PolicyRecord));
    EXPECT_EQ(client.send(spd, policies).error(), SendError::kTooLong);
}

TEST_F(Attachment, a_full_event_ring_says_so) {
    auto client = attach();
    Acknowledge event;
    std::size_t sent = 0;
    while (data_plane.server.send(event)) ++sent;
    data_plane.server.flush();
    EXPECT_EQ(client.poll_events(~std::size_t{0}, Ignore{}).events, sent);
    EXPECT_TRUE(data_plane.server.send(event));
}

TEST_F(Attachment, the_eventfd_wakes_a_sleeper_and_nobody_else) {
    auto client = attach();
    const auto readable = [&](int timeout) {
        pollfd event{client.event_fd(), POLLIN, 0};
        return ::poll(&event, 1, timeout) == 1;
    };
    Acknowledge event;
    ASSERT_TRUE(data_plane.server.send(event));
    data_plane.server.flush();
    EXPECT_FALSE(readable(0)) << "it did not sleep";
    EXPECT_FALSE(client.prepare_sleep()) << "an event waits";
    EXPECT_EQ(client.poll_events(10, Ignore{}).events, 1u);
    EXPECT_TRUE(client.prepare_sleep());
    ASSERT_TRUE(data_plane.server.send(event));
    EXPECT_FALSE(readable(0)) << "not flushed";
    data_plane.server.flush();
    EXPECT_TRUE(readable(1000));
    client.woken();
    EXPECT_FALSE(readable(0));
    EXPECT_EQ(client.poll_events(10, Ignore{}).events, 1u);
}

TEST_F(Attachment, a_sleeping_data_plane_is_woken_by_the_first_command_and_by_no_other) {
    auto client = attach();
    const auto rings = [&] {
        pollfd bell{data_plane.server.bell_fd(), POLLIN, 0};
        return ::poll(&bell, 1, 0) == 1;
    };
    TraceStop command;
    ASSERT_TRUE(client.send(command));
    client.flush();
    EXPECT_FALSE(rings()) << "nobody sleeps";
    ASSERT_TRUE(data_plane.server.commands().peek());
    data_plane.server.commands().release();
    data_plane.server.announce_sleep();
    client.flush();
    EXPECT_FALSE(rings()) << "nothing new was sent";
    ASSERT_TRUE(client.send(command));
    client.flush();
    EXPECT_TRUE(rings());
    std::uint64_t times = 0;
    ASSERT_EQ(::read(data_plane.server.bell_fd(), &times, sizeof times), 8);
    ASSERT_TRUE(client.send(command));
    client.flush();
    EXPECT_FALSE(rings()) << "it was woken already";
    data_plane.server.announce_sleep();
    data_plane.server.awake();
    ASSERT_TRUE(client.send(command));
    client.flush();
    EXPECT_FALSE(rings()) << "it did not sleep after all";
}

TEST_F(Attachment, a_full_blocking_eventfd_does_not_stop_the_data_plane) {
    auto client = attach();
    ASSERT_TRUE(client.prepare_sleep());
    const std::uint64_t most = 0xfffffffffffffffe;
    ASSERT_EQ(::write(client.event_fd(), &most, sizeof most), 8);
    ASSERT_EQ(::fcntl(client.event_fd(), F_SETFL, 0), 0);
    Acknowledge event;
    ASSERT_TRUE(data_plane.server.send(event));
    data_plane.server.flush();  // would hang here
    EXPECT_EQ(client.poll_events(10, Ignore{}).events, 1u);
}

TEST_F(Attachment, a_poll_is_bounded_by_its_budget) {
    auto client = attach();
    Acknowledge event;
    for (int i = 0; i < 10; ++i) ASSERT_TRUE(data_plane.server.send(event));
    data_plane.server.flush();
    EXPECT_EQ(client.poll_events(4, Ignore{}).events, 4u);
    EXPECT_EQ(client.poll_events(4, Ignore{}).events, 4u);
    EXPECT_EQ(client.poll_events(4, Ignore{}).events, 2u);
}

TEST_F(Attachment, another_abi_version_is_refused_with_both_versions_in_the_text) {
    Hello hello = make_hello(Role::kControlPlane, "cp-next");
    hello.abi_version = kAbiVersion + 1;
    ServerEvent event;
    const RawClient client = say(hello, &event);
    EXPECT_EQ(client.reply.status, HelloStatus::kAbiMismatch);
    EXPECT_TRUE(client.fds.empty());
    EXPECT_EQ(event.kind, Kind::kRefused);
    for (const auto& text : {std::string(text_of(client.reply.text)), event.text}) {
        EXPECT_THAT(text, HasSubstr("ABI version " + std::to_string(kAbiVersion + 1)));
        EXPECT_THAT(text, HasSubstr("ABI version " + std::to_string(kAbiVersion) + " "));
        EXPECT_THAT(text, HasSubstr("cp-next"));
        EXPECT_THAT(text, HasSubstr("dp-build"));
    }
    EXPECT_FALSE(data_plane.server.attached());
}

TEST_F(Attachment, the_client_says_both_versions_too) {
    HelloReply reply;
    reply.abi_version = kAbiVersion + 5;
    reply.status = HelloStatus::kAbiMismatch;
    copy_text(reply.build_id, "dp-next");
    const auto refused = decode_hello_reply(
        ConstByteSpan(reinterpret_cast<const std::uint8_t*>(&reply), sizeof reply),
        Role::kControlPlane, "cp-build");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::kAbiMismatch);
    EXPECT_THAT(refused.error().text,
                HasSubstr("ABI version " + std::to_string(kAbiVersion + 5) + " "));
    EXPECT_THAT(refused.error().text,
                HasSubstr("ABI version " + std::to_string(kAbiVersion) + " "));
    EXPECT_THAT(refused.error().text, HasSubstr("dp-next"));
    EXPECT_THAT(refused.error().text, HasSubstr("cp-build"));
}

TEST_F(Attachment, another_record_layout_is_refused_though_the_version_is_the_same) {
    Hello hello = make_hello(Role::kObserver, "x");
    hello.abi_layout ^= 1;
    EXPECT_EQ(say(hello).reply.status, HelloStatus::kAbiMismatch);
}

TEST_F(Attachment, another_build_of_the_same_abi_is_welcome) {
    EXPECT_EQ(say(make_hello(Role::kControlPlane, "quite another build")).reply.status,
              HelloStatus::kAccepted);
}

TEST_F(Attachment, garbage_instead_of_a_hello_is_refused) {
    Hello hello = make_hello(Role::kControlPlane, "x");
    hello.magic = 1;
    EXPECT_EQ(say(hello).reply.status, HelloStatus::kMalformed);
    hello = make_hello(static_cast<Role>(3), "x");
    EXPECT_EQ(say(hello).reply.status, HelloStatus::kMalformed);
    for (const std::size_t length : {1u, 79u, 81u, 4000u}) {
        RawClient client;
        client.say(path, std::vector<std::uint8_t>(length, 0xff));
        EXPECT_EQ(data_plane.next_event().kind, Kind::kRefused);
        EXPECT_TRUE(client.read_reply());
        EXPECT_EQ(client.reply.status, HelloStatus::kMalformed);
    }
}

TEST_F(Attachment, a_build_id_cannot_write_into_the_log) {
    Hello hello = make_hello(Role::kControlPlane, "a\nb\x1b[31m");
    ServerEvent event;
    say(hello, &event);
    EXPECT_THAT(event.text, HasSubstr("a?b?[31m"));
}

TEST_F(Attachment, a_second_control_plane_is_refused_and_the_first_stays) {
    auto first = attach();
    const auto second = connect_while_polling(data_plane, path, Role::kControlPlane);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, ErrorCode::kRefused);
    EXPECT_THAT(second.error().text, HasSubstr("pid " + std::to_string(::getpid())));
    EXPECT_TRUE(data_plane.server.attached());
    EXPECT_FALSE(first.closed());
}

TEST_F(Attachment, observers_read_the_statistics_with_and_without_a_control_plane) {
    data_plane.statistics.worker(1).count(Counter::kTxPort, 5);
    auto observer = connect_while_polling(data_plane, path, Role::kObserver);
    ASSERT_TRUE(observer) << observer.error().text;
    auto control = attach();
    auto second = connect_while_polling(data_plane, path, Role::kObserver);
    ASSERT_TRUE(second);
    for (const auto* client : {&*observer, &control, &*second}) {
        const auto reader = StatisticsReader::open(client->statistics());
        ASSERT_TRUE(reader) << reader.error().text;
        EXPECT_EQ(reader->counter("tx.port"), 5u);
    }
    BeginSync command;
    EXPECT_EQ(observer->send(command).error(), SendError::kTooLong) << "an observer has no ring";
    EXPECT_EQ(observer->event_fd(), -1);
}

TEST_F(Attachment, observers_are_limited_and_make_room_when_they_go) {
    std::vector<Client> observers;
    for (std::size_t i = 0; i < Server::kMaxObservers; ++i) {
        auto observer = connect_while_polling(data_plane, path, Role::kObserver);
        ASSERT_TRUE(observer);
        observers.push_back(std::move(*observer));
    }
    EXPECT_EQ(connect_while_polling(data_plane, path, Role::kObserver).error().code,
              ErrorCode::kRefused);
    observers.pop_back();
    EXPECT_EQ(data_plane.server.poll().kind, Kind::kNothing);
    EXPECT_TRUE(connect_while_polling(data_plane, path, Role::kObserver));
}

TEST_F(Attachment, nobody_can_write_the_statistics_or_resize_a_region) {
    const RawClient client = say(make_hello(Role::kControlPlane, "x"));
    ASSERT_EQ(client.fds.size(), kControlPlaneDescriptors);
    const int statistics = client.fds[2].get();
    EXPECT_EQ(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, statistics, 0), MAP_FAILED);
    const std::string again = "/proc/self/fd/" + std::to_string(statistics);
    const FileDescriptor reopened(::open(again.c_str(), O_RDWR));
    EXPECT_EQ(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, reopened.get(), 0),
              MAP_FAILED);
    EXPECT_EQ(::pwrite(statistics, "x", 1, 0), -1);
    EXPECT_NE(::fallocate(statistics, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), 0);
    for (int i = 0; i < 3; ++i) {
        EXPECT_NE(::ftruncate(client.fds[static_cast<std::size_t>(i)].get(), 0), 0);
        EXPECT_NE(::ftruncate(client.fds[static_cast<std::size_t>(i)].get(), 1 << 30), 0);
    }
}

TEST_F(Attachment, a_region_of_the_wrong_size_or_unsealed_is_not_mapped) {
    FileDescriptor unsealed(::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    ASSERT_EQ(::ftruncate(unsealed.get(), 8192), 0);
    auto refused =
        Region::map(std::move(unsealed), 8192, PeerAccess::kReadWrite, CoreDump::kInclude);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::kBadRegion);
    const auto region = Region::create("test", 8192, PeerAccess::kReadWrite, CoreDump::kExclude);
    ASSERT_TRUE(region);
    refused = Region::map(FileDescriptor(::dup(region->fd())), 4096, PeerAccess::kReadWrite,
                          CoreDump::kInclude);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::kBadRegion);
}

TEST_F(Attachment, every_attachment_gets_fresh_regions) {
    RawClient first = say(make_hello(Role::kControlPlane, "x"));
    struct stat before{};
    ASSERT_EQ(::fstat(first.fds[0].get(), &before), 0);
    auto left = Region::map(FileDescriptor(::dup(first.fds[0].get())),
                            ring_region_size(first.reply.command_capacity), PeerAccess::kReadWrite,
                            CoreDump::kInclude);
    ASSERT_TRUE(left);
    RingProducer half(left->writable_bytes(), first.reply.command_capacity);
    std::memset(half.reserve(500), 0xa5, 500);  // a key, and then it dies
    first.socket.reset();
    EXPECT_EQ(data_plane.next_event().kind, Kind::kDetached);

    const RawClient second = say(make_hello(Role::kControlPlane, "x"));
    struct stat after{};
    ASSERT_EQ(::fstat(second.fds[0].get(), &after), 0);
    EXPECT_NE(before.st_ino, after.st_ino);
    auto fresh = Region::map(FileDescriptor(::dup(second.fds[0].get())),
                             ring_region_size(second.reply.command_capacity),
                             PeerAccess::kReadWrite, CoreDump::kInclude);
    ASSERT_TRUE(fresh);
    EXPECT_TRUE(std::ranges::all_of(fresh->bytes(), [](auto octet) { return octet == 0; }));
    EXPECT_TRUE(std::ranges::all_of(left->bytes(), [](auto octet) { return octet == 0; }))
        << "what the dead one left was wiped";
    EXPECT_FALSE(data_plane.server.commands().peek());
    EXPECT_FALSE(data_plane.server.commands().broken());
}

TEST_F(Attachment, what_was_published_whole_can_be_read_after_the_end) {
    {
        auto client = attach();
        BeginSync begin;
        ASSERT_TRUE(client.send(begin));
        client.flush();
        ASSERT_TRUE(client.send(begin));  // never flushed
    }
    EXPECT_EQ(data_plane.next_event().kind, Kind::kDetached);
    EXPECT_FALSE(data_plane.server.attached());
    ASSERT_TRUE(data_plane.server.commands().peek());
    data_plane.server.commands().release();
    EXPECT_FALSE(data_plane.server.commands().peek());
    Acknowledge event;
    EXPECT_FALSE(data_plane.server.send(event));
    EXPECT_EQ(data_plane.server.poll().kind, Kind::kNothing);
    EXPECT_FALSE(data_plane.server.commands().peek());
}

TEST_F(Attachment, a_successor_in_the_queue_is_let_in_once_the_first_is_gone) {
    auto first = std::make_unique<Client>(attach());
    RawClient second;
    second.say(path, octets(make_hello(Role::kControlPlane, "second")));
    first.reset();  // both happen before the data plane looks
    EXPECT_EQ(data_plane.next_event().kind, Kind::kDetached);
    EXPECT_EQ(data_plane.next_event().kind, Kind::kAttached);
    ASSERT_TRUE(second.read_reply());
    EXPECT_EQ(second.reply.status, HelloStatus::kAccepted);
}

TEST_F(Attachment, a_peer_that_breaks_a_ring_is_detached) {
    for (const std::size_t which : {0u, 1u}) {
        RawClient client = say(make_hello(Role::kControlPlane, "x"));
        ASSERT_TRUE(data_plane.server.attached());
        auto region = Region::map(std::move(client.fds[which]),
                                  ring_region_size(client.reply.command_capacity),
                                  PeerAccess::kReadWrite, CoreDump::kInclude);
        ASSERT_TRUE(region);
        for (auto& octet : region->writable_bytes()) octet = 0xee;
        EXPECT_FALSE(data_plane.server.commands().peek());
        Acknowledge event;
        (void)data_plane.server.events().free_octets();
        (void)data_plane.server.send(event);
        data_plane.server.flush();
        const ServerEvent event_seen = data_plane.next_event();
        EXPECT_EQ(event_seen.kind, Kind::kDetached);
        EXPECT_THAT(event_seen.text, HasSubstr(which == 0 ? "command ring" : "event ring"));
    }
}

TEST_F(Attachment, talk_over_the_socket_after_the_hello_ends_the_attachment) {
    RawClient client = say(make_hello(Role::kControlPlane, "x"));
    ASSERT_EQ(::send(client.socket.get(), "x", 1, 0), 1);
    EXPECT_THAT(data_plane.next_event().text, HasSubstr("unexpected message"));
}

TEST_F(Attachment, the_data_plane_can_end_it_with_a_reason) {
    auto client = attach();
    data_plane.server.detach("too many malformed commands");
    const ServerEvent event = data_plane.next_event();
    EXPECT_EQ(event.kind, Kind::kDetached);
    EXPECT_THAT(event.text, HasSubstr("too many malformed commands"));
    EXPECT_TRUE(client.closed());
}

TEST_F(Attachment, a_client_that_meets_garbage_in_its_ring_says_broken_and_skips_malformed_events) {
    auto client = attach();
    ASSERT_TRUE(data_plane.server.events().write(std::vector<std::uint8_t>(24, 0xff)));
    Acknowledge event;
    ASSERT_TRUE(data_plane.server.send(event));
    data_plane.server.flush();
    PollResult result = client.poll_events(10, Ignore{});
    EXPECT_EQ(result.events, 1u);
    EXPECT_EQ(result.malformed, 1u);
    EXPECT_FALSE(result.broken);
}

// ------------------------------------------------------------------------------- the socket itself

TEST(Listening, silent_clients_are_sent_away_and_do_not_lock_others_out) {
    const ScratchDirectory directory;
    const std::string path = directory.file("channel");
    TestServer data_plane(path, 1 << 16, std::chrono::milliseconds(20));
    std::vector<FileDescriptor> silent;
    for (std::size_t i = 0; i < Server::kMaxPending + 2; ++i) {
        silent.push_back(std::move(*connect_to(path, kPatience)));
    }
    silent[3].reset();  // one goes without a word
    std::expected<Client, Error> client = std::unexpected(Error{});
    std::thread connector(
        [&] { client = Client::connect(path, Role::kControlPlane, "x", kPatience); });
    EXPECT_TRUE(eventually([&] { return data_plane.server.poll().kind == Kind::kAttached; }));
    connector.join();
    EXPECT_TRUE(client);
}

TEST(Listening, a_stale_socket_is_replaced_and_a_live_one_is_not) {
    const ScratchDirectory directory;
    const std::string path = directory.file("channel");
    {
        // Left behind by one that was killed: nobody unlinks.
        auto stale = listen_on(path, 0660, std::nullopt);
        ASSERT_TRUE(stale) << stale.error().text;
    }
    TestServer data_plane(path);
    ServerConfig config;
    config.socket_path = path;
    const auto second = Server::open(config, data_plane.statistics.region());
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, ErrorCode::kAlreadyRunning);
    EXPECT_THAT(second.error().text, HasSubstr(path));
    ASSERT_EQ(::unlink((path + ".lock").c_str()), 0);  // the socket itself still tells
    const auto third = Server::open(config, data_plane.statistics.region());
    ASSERT_FALSE(third);
    EXPECT_EQ(third.error().code, ErrorCode::kAlreadyRunning);
    EXPECT_TRUE(connect_while_polling(data_plane, path, Role::kControlPlane));
}

TEST(Listening, a_file_in_the_way_is_not_removed) {
    const ScratchDirectory directory;
    const std::string path = directory.file("channel");
    std::ofstream(path) << "precious";
    const auto refused = listen_on(path, 0660, std::nullopt);
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().text, HasSubstr("not a socket"));
    EXPECT_EQ(::access(path.c_str(), F_OK), 0);
}

TEST(Listening, impossible_settings_are_refused_with_a_reason) {
    const ScratchDirectory directory;
    EXPECT_THAT(listen_on(std::string(200, 'x'), 0660, std::nullopt).error().text,
                HasSubstr("200 octets"));
    EXPECT_THAT(listen_on(directory.file("no/such/place"), 0660, std::nullopt).error().text,
                HasSubstr("no/such/place"));
    const auto region = Region::create("test", 4096, PeerAccess::kReadOnly, CoreDump::kInclude);
    ServerConfig config;
    config.socket_path = directory.file("channel");
    config.command_capacity = 5000;
    EXPECT_THAT(Server::open(config, *region).error().text, HasSubstr("5000"));
}

TEST(Listening, the_socket_has_its_mode_whatever_the_umask_and_goes_with_the_server) {
    const ScratchDirectory directory;
    const std::string path = directory.file("channel");
    for (const mode_t mask : {0000u, 0022u, 0077u}) {
        const mode_t before = ::umask(mask);
        const TestServer data_plane(path);
        ::umask(before);
        struct stat status{};
        ASSERT_EQ(::stat(path.c_str(), &status), 0);
        EXPECT_EQ(status.st_mode & 07777, 0660u);
    }
    EXPECT_NE(::access(path.c_str(), F_OK), 0);
}

TEST(Listening, a_client_without_a_data_plane_is_told) {
    const ScratchDirectory directory;
    const std::string path = directory.file("channel");
    auto client = Client::connect(path, Role::kObserver, "x", kPatience);
    ASSERT_FALSE(client);
    EXPECT_EQ(client.error().code, ErrorCode::kNotRunning);
    const auto deaf = listen_on(path, 0660, std::nullopt);
    ASSERT_TRUE(deaf);
    client = Client::connect(path, Role::kObserver, "x", std::chrono::milliseconds(20));
    ASSERT_FALSE(client);
    EXPECT_EQ(client.error().code, ErrorCode::kTimeout);
}

}  // namespace
}  // namespace homeport::channel
