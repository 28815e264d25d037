// SPDX-License-Identifier: BSD-3-Clause
// One-shot notes about home addresses, one for each at most, so that nothing has to travel with a
// packet through IPsec (S1.9, S1.50, S1.66):
//
// * sources: where a packet that may be a binding update came from, recorded before IPsec, taken
//   when the binding update is handed to the control plane (P5);
// * replies: where the answer goes, set before IPsec, taken by the tunnel module behind it (P6).
//
// Use: one table a worker. IPsec is synchronous, so a note that is still there when a run of the
// stages is over belongs to a packet that IPsec dropped: end_run() forgets it.
//
//   worker loop:   inject take_waiting() before the home-address stage
//                  driver.run()
//                  table.end_run()
//
// Nothing allocates but the constructor.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "dataplane/base/address.hpp"

namespace homeport::tunnel {

/// An address on the wire, not a home address.
struct WireEndpoint {
    IpAddress address;
    std::uint16_t udp_port = 0;  // host order; 0: not in UDP

    friend bool operator==(const WireEndpoint&, const WireEndpoint&) = default;
};

/// Notes of one kind. A note lives until it is taken or the run ends.
class OneShotNotes {
  public:
    static constexpr std::size_t kMaxNotes = 512;  // in one run, taken ones included

    enum class Result : std::uint8_t {
        kOk,
        kBusy,  // there is one for this home address that nobody took yet
        kFull,
    };

    OneShotNotes();
    [[nodiscard]] Result put(const Ipv6Address& home_address, const WireEndpoint& endpoint);
    [[nodiscard]] bool contains(const Ipv6Address& home_address) const {
        return live_ != 0 && find(home_address) != nullptr;
    }
    /// Null: there is none.
    [[nodiscard]] const WireEndpoint* peek(const Ipv6Address& home_address) const;
    std::optional<WireEndpoint> take(const Ipv6Address& home_address);
    void end_run();
    /// Notes that nobody took yet.
    [[nodiscard]] std::size_t live() const { return live_; }

  private:
    static constexpr std::size_t kSlots = 2 * kMaxNotes;
    struct Slot {
        std::uint64_t run = 0;  // in which it was written
        Ipv6Address home_address;
        WireEndpoint endpoint;
        bool taken = false;
    };
    [[nodiscard]] std::size_t first_slot(const Ipv6Address& home_address) const;
    /// The slot of `home_address` in this run, or the free one where it would go.
    [[nodiscard]] Slot& slot_of(const Ipv6Address& home_address) const;
    [[nodiscard]] Slot* find(const Ipv6Address& home_address) const;

    std::uint64_t seed_ = 0;
    std::uint64_t run_ = 1;
    std::size_t used_ = 0;  // slots of this run
    std::size_t live_ = 0;
    std::unique_ptr<std::array<Slot, kSlots>> slots_;
};

class ReplyToTable {
  public:
    static constexpr std::size_t kWaitingPerHomeAddress = 4;  // nat_lock_depth of S1.66
    static constexpr std::size_t kMaxWaiting = 256;

    using Result = OneShotNotes::Result;

    /// Before IPsec, for a packet that came from `source` and may be a binding update. kBusy: an
    /// earlier one of this run is still inside; wait() with it.
    [[nodiscard]] Result record_source(const Ipv6Address& home_address,
                                       const WireEndpoint& source) {
        return sources_.put(home_address, source);
    }
    /// An earlier packet for this home address is inside IPsec.
    [[nodiscard]] bool is_busy(const Ipv6Address& home_address) const {
        return sources_.contains(home_address);
    }
    /// Behind IPsec, when the binding update is delivered. Nothing: it came without Home Address
    /// option, so its source in normal form is where it came from.
    std::optional<WireEndpoint> take_source(const Ipv6Address& home_address) {
        return sources_.take(home_address);
    }

    /// Before IPsec, for a packet that the control plane sends to `home_address` and that has to
    /// go to `destination`. kBusy: keep the packet until the next run.
    [[nodiscard]] Result set_reply(const Ipv6Address& home_address,
                                   const WireEndpoint& destination) {
        return replies_.put(home_address, destination);
    }
    [[nodiscard]] bool has_reply(const Ipv6Address& home_address) const {
        return replies_.contains(home_address);
    }
    std::optional<WireEndpoint> take_reply(const Ipv6Address& home_address) {
        return replies_.take(home_address);
    }

    /// Keeps `packet` until the next run. False: too many wait, for this home address or in all.
    [[nodiscard]] bool wait(const Ipv6Address& home_address, void* packet);
    /// Takes packets that waited, oldest first; returns how many.
    std::size_t take_waiting(std::span<void*> packets);
    [[nodiscard]] std::size_t waiting() const { return waiting_count_; }

    void end_run() {
        sources_.end_run();
        replies_.end_run();
    }

  private:
    struct Waiting {
        Ipv6Address home_address;
        void* packet = nullptr;
    };
    OneShotNotes sources_;
    OneShotNotes replies_;
    std::size_t waiting_count_ = 0;
    std::array<Waiting, kMaxWaiting> waiting_;
};

}  // namespace homeport::tunnel
