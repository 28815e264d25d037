// SPDX-License-Identifier: BSD-3-Clause
// What a worker keeps about the packets that are inside IPsec (S1.9, S1.50, S1.60, S1.66):
//
// * sources: where a packet that may be a binding update came from, recorded before IPsec, taken
//   when the binding update is handed to the control plane (P5, P11);
// * replies: where the answer goes, set before IPsec, taken by the tunnel module behind it (P6,
//   P12);
// * home addresses of packets that may be binding updates and have no record, as they come from
//   where the binding is (S1.65): one that follows from elsewhere is not recorded before they have
//   come out, or they would take its record (S1.67);
// * packets that wait until an earlier one for their home address has come out.
//
// Use: one table a worker.
//
//   worker loop:   inject take_waiting() before the home-address stage
//                  driver.run()
//                  table.end_run()
//
// With a synchronous IPsec a record that is still there when a run of the stages is over belongs to
// a packet that IPsec dropped: end_run() forgets it, and all that waited can go on.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "dataplane/base/address.hpp"
#include "dataplane/tunnel/one_shot_records.hpp"

namespace homeport::tunnel {

class ReplyToTable {
  public:
    static constexpr std::size_t kMostWaitingPerHomeAddress = 4;  // limit of nat_lock_depth
    static constexpr std::size_t kMaxWaiting = 256;

    using Result = OneShotRecords::Result;
    using Kind = OneShotRecords::Kind;
    struct Settings {
        OneShotRecords::Limits records;
        std::size_t lock_depth = kMostWaitingPerHomeAddress;  ///< nat_lock_depth of S1.66
    };

    void configure(const Settings& settings) {
        sources_.configure(settings.records);
        unrecorded_.configure(settings.records);
        replies_.configure(settings.records);
        lock_depth_ = settings.lock_depth;
    }
    /// See OneShotRecords; only an IPsec that keeps packets needs more than there is from the
    /// start.
    void reserve(std::uint32_t records) {
        sources_.reserve(records);
        unrecorded_.reserve(records);
        replies_.reserve(records);
    }

    /// Before IPsec, for a packet that came from `source` and may be a binding update. kBusy: an
    /// earlier one is still inside; wait() with it.
    [[nodiscard]] Result record_source(const Ipv6Address& home_address, const WireEndpoint& source,
                                       std::uint64_t now, Kind kind = Kind::kBound) {
        if (unrecorded_.is_locked(home_address, now)) [[unlikely]]
            return Result::kBusy;
        return sources_.put(home_address, source, now, kind);
    }
    /// Before IPsec, for a packet that may be a binding update and goes on without a record. If one
    /// of the node is_busy() nothing is noted: the packet waits. Without room nothing is noted,
    /// either, which only an IPsec that keeps packets can bring about.
    void note_unrecorded(const Ipv6Address& home_address, std::uint64_t now) {
        if (!is_busy(home_address, now)) (void)unrecorded_.put(home_address, {}, now);
    }
    /// An earlier packet for this home address, whose source is recorded, is inside IPsec.
    [[nodiscard]] bool is_busy(const Ipv6Address& home_address, std::uint64_t now) const {
        return sources_.is_locked(home_address, now);
    }
    /// False: nothing is_busy(), so nobody need be asked for.
    [[nodiscard]] bool is_somebody_busy() const { return sources_.live() != 0; }
    /// Behind IPsec, when the binding update is delivered. Nothing: it was not recorded.
    std::optional<WireEndpoint> take_source(const Ipv6Address& home_address, std::uint64_t now) {
        return sources_.take(home_address, now);
    }
    /// Without taking it. Null: there is none.
    [[nodiscard]] const WireEndpoint* source_of(const Ipv6Address& home_address,
                                                std::uint64_t now) const {
        return sources_.peek(home_address, now);
    }

    /// Before IPsec, for a packet that the control plane sends to `home_address` and that has to
    /// go to `destination`. kBusy: keep the packet until the next run.
    [[nodiscard]] Result set_reply(const Ipv6Address& home_address, const WireEndpoint& destination,
                                   std::uint64_t now) {
        return replies_.put(home_address, destination, now);
    }
    [[nodiscard]] bool has_reply(const Ipv6Address& home_address, std::uint64_t now) const {
        return replies_.peek(home_address, now) != nullptr;
    }
    std::optional<WireEndpoint> take_reply(const Ipv6Address& home_address, std::uint64_t now) {
        return replies_.take(home_address, now);
    }

    /// Keeps `packet` until no other for `home_address` is inside IPsec. False: too many wait, for
    /// this home address or in all.
    [[nodiscard]] bool wait(const Ipv6Address& home_address, void* packet);
    /// Takes packets that can go on, oldest first; returns how many.
    std::size_t take_waiting(std::span<void*> packets, std::uint64_t now);
    /// The same for all that wait, whether they can go on or not.
    std::size_t take_all(std::span<void*> packets);
    [[nodiscard]] std::size_t waiting() const { return waiting_count_; }

    void end_run(std::uint64_t now) {
        sources_.end_run(now);
        unrecorded_.end_run(now);
        replies_.end_run(now);
    }

  private:
    struct Waiting {
        Ipv6Address home_address;
        void* packet = nullptr;
    };
    template <class Ready>
    std::size_t take_those(std::span<void*> packets, Ready&& ready);

    OneShotRecords sources_;
    OneShotRecords unrecorded_;  // their endpoints say nothing
    OneShotRecords replies_;
    std::size_t lock_depth_ = kMostWaitingPerHomeAddress;
    std::size_t waiting_count_ = 0;
    std::array<Waiting, kMaxWaiting> waiting_;
};

}  // namespace homeport::tunnel
