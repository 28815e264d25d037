// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/core/data_plane.hpp"

#include <algorithm>
#include <array>
#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>
#include <thread>
#include <vector>

#include "controlplane/core/log.hpp"

namespace homeport::core {

namespace {

using namespace std::chrono_literals;

constexpr auto kFirstRetry = 50ms;
constexpr auto kLongestRetry = 1000ms;
constexpr auto kHelloTimeout = 300ms;  // the event loop waits meanwhile
constexpr std::size_t kEventsPerRound = 256;
constexpr auto kPatience = 2000ms;  // with a data plane that does not read its ring
constexpr auto kRingPoll = 100us;

// Copies packets out of shared memory before anybody looks at them.
struct Forwarder {
    DataPlaneEvents& events;
    std::array<std::uint8_t, channel::kMaxPacket>& buffer;

    template <class Event>
    void operator()(const Event& event, ConstByteSpan trailing) const {
        if constexpr (std::is_same_v<Event, channel::Punt>) {
            const std::size_t length = std::min(trailing.size(), buffer.size());
            std::copy_n(trailing.begin(), length, buffer.begin());
            events.on_event(event, ConstByteSpan(buffer.data(), length));
        } else {
            events.on_event(event);
        }
    }
};

}  // namespace

// What the event loop waits for on behalf of one attachment. The descriptors belong to the client.
struct DataPlane::Waits {
    explicit Waits(asio::io_context& context) : retry(context), wake_up(context), socket(context) {}

    asio::steady_timer retry;
    asio::posix::stream_descriptor wake_up;
    asio::posix::stream_descriptor socket;
    std::array<std::uint8_t, channel::kMaxPacket> packet{};
    std::uint64_t generation = 0;  // of the attachment that a handler belongs to

    void release() {
        ++generation;
        if (wake_up.is_open()) wake_up.release();
        if (socket.is_open()) socket.release();
    }
};

DataPlane::DataPlane(asio::io_context& context, std::string socket_path, Log& log,
                     DataPlaneEvents& events)
    : context_(context),
      socket_path_(std::move(socket_path)),
      log_(log),
      events_(events),
      waits_(std::make_unique<Waits>(context)),
      backoff_(kFirstRetry) {}

DataPlane::~DataPlane() {
    stop();
}

void DataPlane::start() {
    is_stopped_ = false;
    try_to_connect();
}

void DataPlane::stop() {
    is_stopped_ = true;
    waits_->retry.cancel();
    waits_->release();
    statistics_.reset();
    client_.reset();
}

std::string DataPlane::build_id() const {
    return is_attached() ? std::string(client_->data_plane_build_id()) : "";
}

void DataPlane::try_to_connect() {
    auto client = channel::Client::connect(socket_path_, channel::Role::kControlPlane,
                                           HOMEPORT_VERSION, kHelloTimeout);
    if (client) return adopt(std::move(*client));
    const channel::Error& error = client.error();
    // The same complaint once, not every second.
    if (error.text != last_complaint_) {
        last_complaint_ = error.text;
        const bool is_missing = error.code == channel::ErrorCode::kNotRunning ||
                                error.code == channel::ErrorCode::kTimeout;
        log_.write(is_missing ? Message::kDataPlaneMissing : Message::kDataPlaneRefused,
                   "no attachment to the data plane at " + socket_path_ + ": " + error.text +
                       "; tries again until it succeeds");
    }
    wait_and_retry();
}

void DataPlane::wait_and_retry() {
    waits_->retry.expires_after(backoff_);
    backoff_ = std::min<std::chrono::milliseconds>(backoff_ * 2, kLongestRetry);
    waits_->retry.async_wait([this](std::error_code error) {
        if (!error && !is_stopped_) try_to_connect();
    });
}

void DataPlane::adopt(channel::Client client) {
    client_.emplace(std::move(client));
    is_lost_ = false;
    last_complaint_.clear();
    auto reader = channel::StatisticsReader::open(client_->statistics());
    if (!reader) {
        log_.limited(Message::kChannelBroken,
                     "the data plane's statistics are not understood: " + reader.error().text);
        client_.reset();
        return wait_and_retry();
    }
    backoff_ = kFirstRetry;
    statistics_.emplace(std::move(*reader));
    waits_->wake_up.assign(client_->event_fd());
    waits_->socket.assign(client_->socket_fd());
    events_.attached();
    // Not a wait: events may be there already, and the data plane wakes only who announced a sleep.
    asio::post(context_, [this, generation = waits_->generation] {
        if (generation == waits_->generation) on_ready();
    });
}

void DataPlane::wait_for_events() {
    if (!client_) return;
    // Either descriptor; the other wait is taken back.
    const auto wait = [this](asio::posix::stream_descriptor& descriptor) {
        descriptor.async_wait(asio::posix::stream_descriptor::wait_read,
                              [this, generation = waits_->generation](std::error_code error) {
                                  if (error || generation != waits_->generation) return;
                                  ++waits_->generation;
                                  std::error_code ignored;
                                  waits_->wake_up.cancel(ignored);
                                  waits_->socket.cancel(ignored);
                                  on_ready();
                              });
    };
    wait(waits_->wake_up);
    wait(waits_->socket);
}

void DataPlane::on_ready() {
    if (!client_ || is_stopped_) return;
    client_->woken();
    events_.round_began(client_->waiting_octets(), client_->event_capacity());
    const Forwarder forward{events_, waits_->packet};
    const auto result = client_->poll_events(kEventsPerRound, forward);
    if (result.malformed != 0) {
        log_.limited(Message::kEventMalformed, std::to_string(result.malformed) +
                                                   " events of the data plane were not understood");
    }
    if (is_attached()) events_.round_ended();
    flush();
    if (result.broken) lose("the event ring is broken");
    if (is_attached() && client_->closed()) lose("the data plane closed the channel");
    if (is_lost_) return clean_up();
    const bool has_more = result.events + result.malformed == kEventsPerRound;
    if (!has_more && client_->prepare_sleep()) return wait_for_events();
    asio::post(context_, [this, generation = waits_->generation] {
        if (generation == waits_->generation) on_ready();
    });
}

bool DataPlane::wait_for_room() {
    client_->flush();
    std::size_t room = client_->free_octets();
    auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (std::chrono::steady_clock::now() < deadline) {
        std::this_thread::sleep_for(kRingPoll);
        if (client_->closed()) break;
        const std::size_t now = client_->free_octets();
        if (now > room) return true;
        room = now;
    }
    lose(client_->closed() ? "the data plane closed the channel"
                           : "the data plane does not read its ring");
    return false;
}

void DataPlane::lose(const std::string& reason) {
    if (is_lost_) return;
    is_lost_ = true;
    log_.limited(Message::kDataPlaneLost, "the attachment to the data plane ended: " + reason +
                                              "; forwarding goes on there if it runs");
    // send() may be deep inside a handler of this attachment's events.
    asio::post(context_, [this] {
        if (is_lost_ && client_) clean_up();
    });
}

void DataPlane::clean_up() {
    waits_->release();
    statistics_.reset();
    client_.reset();
    is_lost_ = false;
    events_.detached();
    if (!is_stopped_) wait_and_retry();
}

void DataPlane::flush() {
    if (is_attached()) client_->flush();
}

}  // namespace homeport::core
