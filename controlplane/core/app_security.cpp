// SPDX-License-Identifier: BSD-3-Clause
// Security associations while the control plane runs: added, deleted, at their end.
#include <algorithm>

#include "controlplane/core/app.hpp"
#include "controlplane/core/log.hpp"
#include "dataplane/ipsec/spi.hpp"

namespace homeport::core {

namespace {

const char* name_of(channel::SaDirection direction) {
    return direction == channel::SaDirection::kInbound ? "inbound" : "outbound";
}

const char* text_of(channel::SaLifetimeReason reason) {
    switch (reason) {
        case channel::SaLifetimeReason::kBytes:
            return "octets";
        case channel::SaLifetimeReason::kPackets:
            return "packets";
        case channel::SaLifetimeReason::kSeconds:
            return "seconds";
        case channel::SaLifetimeReason::kSequence:
            break;
    }
    return "sequence numbers";
}

std::string naming(std::uint32_t spi, channel::SaDirection direction, const std::string& peer) {
    return std::string("the ") + name_of(direction) + " SA " + ipsec::Spi{spi}.to_string() +
           " of " + peer;
}

}  // namespace

std::uint32_t App::worker_count() const {
    // One row of the statistics is the main lcore's, which owns no SA.
    const std::uint32_t workers = std::max(1u, config_.dataplane.workers.count);
    if (const auto* statistics = data_plane_->statistics()) {
        return std::clamp(statistics->worker_count() - 1, 1u, workers);
    }
    return workers;
}

void App::note_issued(const sa::SaSource::Issued& issued) {
    ledger_problem_ = issued.ledger_error;
    if (!issued.ledger_error.empty()) {
        log_.limited(Message::kLedgerFailed,
                     "sequence numbers of SAs cannot be kept: " + issued.ledger_error);
    }
    for (const std::uint32_t spi : issued.used_up) {
        log_.limited(Message::kSaUsedUp, "the outbound SA " + std::to_string(spi) +
                                             " has no sequence numbers left and is not put in "
                                             "force: it needs a new key and a new SPI");
    }
}

// Behind those of the configuration, at the start and when a new configuration comes in force.
void App::put_operator_sas_in_force() {
    for (const sa::OperatorSa& added : operator_sas_->all()) {
        if (auto done = sa_source_->add(added, config_.controlplane); !done) {
            log_.limited(Message::kSaLeftOut,
                         naming(added.spi, added.direction, added.home_address.to_string()) +
                             ", which was added, is left out: " + done.error());
        }
    }
    learn_own_spis();
}

void App::learn_own_spis() {
    sa_source_->describe([this](const sa::SaSource::Description& sa) {
        if (sa.direction == channel::SaDirection::kInbound) spis_.reserve(ipsec::Spi{sa.spi});
    });
}

std::expected<std::uint32_t, management::CommandError> App::add_sa(sa::OperatorSa wanted) {
    const auto refuse = [](const char* code, std::string text) {
        return std::unexpected(management::CommandError{code, std::move(text), {}});
    };
    const bool chosen_here = wanted.spi == 0;
    if (chosen_here && wanted.direction == channel::SaDirection::kOutbound) {
        return refuse("bad_argument",
                      "spi: found none, expected that of the other end's inbound SA");
    }
    if (chosen_here) {
        const bool is_data = wanted.purpose != "bu" && wanted.purpose != "mps";
        const auto spi = spis_.allocate(is_data ? sa::SpiClass::kData : sa::SpiClass::kSignalling,
                                        sa::owner_of(wanted.home_address, worker_count()));
        if (!spi) return refuse("bad_argument", "spi: found no free one, expected max_sas of them");
        wanted.spi = spi->value;
    }
    wanted.added_unix =
        static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(
                                       std::chrono::system_clock::now().time_since_epoch())
                                       .count());
    const auto give_back = [&] {
        if (chosen_here) spis_.release(ipsec::Spi{wanted.spi});
    };
    if (auto added = sa_source_->add(wanted, config_.controlplane); !added) {
        give_back();
        return refuse("bad_argument", added.error());
    }
    const sa::SaName name{wanted.spi, wanted.direction, wanted.home_address};
    if (auto kept = operator_sas_->add(wanted); !kept) {
        (void)sa_source_->remove(name);
        give_back();
        return refuse("not_kept", kept.error());
    }
    if (wanted.direction == channel::SaDirection::kInbound) spis_.reserve(ipsec::Spi{wanted.spi});
    log_.write(Message::kSaAdded,
               naming(wanted.spi, wanted.direction, wanted.home_address.to_string()) + " for " +
                   wanted.purpose + " was added");
    if (phase_ == Phase::kRunning) {
        note_issued(sa_source_->last_sa(
            *ledger_, worker_count(),
            [this](channel::SaSet& record, ConstByteSpan networks) { send(record, networks); }));
        data_plane_->flush();
    }
    return wanted.spi;
}

std::expected<void, management::CommandError> App::delete_sa(const sa::SaName& name) {
    const std::string text = naming(name.spi, name.direction, sa::peer_text(name.home_address));
    if (!operator_sas_->contains(name)) {
        return std::unexpected(management::CommandError{
            "configured",
            "found that " + text + " is of the configuration, expected one that was added",
            {}});
    }
    if (auto kept = operator_sas_->remove(name); !kept) {
        return std::unexpected(management::CommandError{"not_kept", kept.error(), {}});
    }
    if (auto record = sa_source_->remove(name)) {
        send(*record);
        data_plane_->flush();
    }
    if (name.direction == channel::SaDirection::kInbound) spis_.release(ipsec::Spi{name.spi});
    ended_sas_.erase({name.direction, name.spi});
    log_.write(Message::kSaDeleted, text + " was deleted");
    return {};
}

// Not known to be authentic (P4): one line a minute and node, and few in all.
void App::on_event(const channel::EspSource& event) {
    if (event.home_address.family != 6) return;
    const Ipv6Address home_address = event.home_address.v6();
    if (!esp_sources_.take(home_address, now())) return;
    const auto text = [](const channel::WireAddress& address) {
        if (address.family == 6) return address.v6().to_string();
        return address.family == 4 ? address.v4().to_string() : std::string("none");
    };
    log_.limited(Message::kEspFromElsewhere,
                 "payload under ESP of " + home_address.to_string() + " (SPI " +
                     ipsec::Spi{event.spi}.to_string() + ") came from " + text(event.source) +
                     ", its care-of address is " + text(event.care_of_address) +
                     (event.dropped != 0 ? ": dropped" : ": let pass"));
}

void App::on_event(const channel::SaLifetime& event) {
    Ipv6Address peer = event.peer.family == 6 ? event.peer.v6() : Ipv6Address{};
    if (event.peer.family == 4) {
        peer = Ipv6Address{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}};
        event.peer.v4().store(peer.bytes.data() + 12);
    }
    const std::string text = naming(event.spi, event.direction, sa::peer_text(peer));
    if (event.hard == 0) {
        log_.limited(Message::kSaLifetime, text + " reached its soft lifetime (" +
                                               text_of(event.reason) + "): it needs a rekey");
        return;
    }
    ended_sas_[{event.direction, event.spi}] = peer;
    log_.limited(Message::kSaEnded, text + " is at its end (" + text_of(event.reason) +
                                        "): nothing passes it any more");
}

}  // namespace homeport::core
