// SPDX-License-Identifier: BSD-3-Clause
#include "tools/mobile-node/readiness.hpp"

#include <fcntl.h>

#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/steady_timer.hpp>
#include <system_error>

namespace homeport::mobile_node {

struct Readiness::State {
    asio::posix::stream_descriptor descriptor;
    std::function<void()> ready;
    bool stopped = false;
};

Readiness::Readiness(asio::io_context& context, int descriptor, std::function<void()> ready) {
    const int copy = ::fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
    if (copy < 0) throw std::system_error(errno, std::generic_category(), "dup");
    state_ =
        std::make_shared<State>(asio::posix::stream_descriptor(context, copy), std::move(ready));
    wait(state_);
}

Readiness& Readiness::operator=(Readiness&& other) noexcept {
    if (this != &other) {
        stop();
        state_ = std::move(other.state_);
    }
    return *this;
}

Readiness::~Readiness() {
    stop();
}

void Readiness::stop() {
    if (!state_) return;
    state_->stopped = true;
    asio::error_code ignored;
    state_->descriptor.close(ignored);
    state_.reset();
}

void Readiness::wait(const std::shared_ptr<State>& state) {
    state->descriptor.async_wait(asio::posix::stream_descriptor::wait_read,
                                 [state](const asio::error_code& error) {
                                     if (error || state->stopped) return;
                                     state->ready();
                                     if (!state->stopped) wait(state);
                                 });
}

struct Alarm::State {
    asio::steady_timer timer;
    std::function<void()> ring;
    std::uint64_t generation = 0;  // of the last set() or clear()
};

Alarm::Alarm(asio::io_context& context, std::function<void()> ring)
    : state_(std::make_shared<State>(asio::steady_timer(context), std::move(ring))) {}

Alarm::~Alarm() {
    clear();
}

void Alarm::set(std::chrono::steady_clock::time_point when) {
    const std::uint64_t generation = ++state_->generation;
    state_->timer.expires_at(when);
    state_->timer.async_wait([state = state_, generation](const asio::error_code& error) {
        if (!error && state->generation == generation) state->ring();
    });
}

void Alarm::clear() {
    ++state_->generation;
    (void)state_->timer.cancel();
}

}  // namespace homeport::mobile_node
