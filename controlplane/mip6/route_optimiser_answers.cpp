// SPDX-License-Identifier: BSD-3-Clause
// Messages of correspondents (RFC 6275 sections 11.6.2, 11.7.3, 11.3.6, 11.7.4).
#include <algorithm>

#include "controlplane/mip6/route_optimiser.hpp"
#include "controlplane/wire/ipv6_packet.hpp"
#include "dataplane/base/ip_header.hpp"

namespace homeport::mip6 {

using wire::BindingStatus;

namespace {

constexpr unsigned kMostNonceFailures = 3;

bool is_about_nonces(BindingStatus status) {
    return status == BindingStatus::kExpiredHomeNonceIndex ||
           status == BindingStatus::kExpiredCareOfNonceIndex ||
           status == BindingStatus::kExpiredNonces;
}

}  // namespace

RouteOptimiserActions RouteOptimiser::receive(ConstByteSpan bytes, Way way, TimePoint now) {
    now_ = now;
    const auto packet = wire::view_ipv6_packet(bytes);
    if (!packet || packet->upper_protocol != number(IpProtocol::kMobility)) {
        ++counters_.ignored_malformed;
        return {};
    }
    const auto message =
        wire::decode_mobility_header(packet->upper, packet->source, packet->destination);
    if (!message) {
        ++counters_.ignored_malformed;
        return {};
    }
    const Ipv6Address from = packet->source;
    Entry* entry = find(from);
    if (entry == nullptr) {
        ++counters_.ignored_unknown;
        return {};
    }
    const bool to_home_address = packet->destination == config_.home_address;
    if (const auto* care_of_test = std::get_if<wire::CareOfTest>(&*message)) {
        receive_care_of_test(from, *entry, *care_of_test, packet->destination, way);
    } else if (const auto* error = std::get_if<wire::BindingError>(&*message)) {
        receive_error(from, *entry, *error);
    } else if (!to_home_address) {
        ++counters_.ignored_path;
    } else if (const auto* home_test = std::get_if<wire::HomeTest>(&*message)) {
        receive_home_test(from, *entry, *home_test, way);
    } else if (const auto* answer = std::get_if<wire::BindingAcknowledgement>(&*message)) {
        receive_acknowledgement(from, *entry, *answer, packet->upper);
    } else if (std::holds_alternative<wire::BindingRefreshRequest>(*message)) {
        receive_refresh_request(from, *entry);
    } else {
        ++counters_.ignored_message;
    }
    return take_actions();
}

// The home test is worth something only because it came by the home agent (away) or the home link.
void RouteOptimiser::receive_home_test(const Ipv6Address& from, Entry& entry,
                                       const wire::HomeTest& test, Way way) {
    if ((way == Way::kTunnel) != (place_ == Place::kAway)) {
        ++counters_.ignored_path;
        return;
    }
    if (!entry.home_test.outstanding || test.cookie != entry.home_test.cookie) {
        ++counters_.ignored_cookie;
        return;
    }
    entry.home_test.outstanding = false;
    entry.home_token = Token{test.keygen_token, test.nonce_index, entry.home_test.sent};
    proceed(from, entry);
}

void RouteOptimiser::receive_care_of_test(const Ipv6Address& from, Entry& entry,
                                          const wire::CareOfTest& test, const Ipv6Address& to,
                                          Way way) {
    if (way != Way::kDirect || place_ != Place::kAway || to != care_of_address_) {
        ++counters_.ignored_path;
        return;
    }
    if (!entry.care_of_test.outstanding || test.cookie != entry.care_of_test.cookie) {
        ++counters_.ignored_cookie;
        return;
    }
    entry.care_of_test.outstanding = false;
    entry.care_of_token = Token{test.keygen_token, test.nonce_index, entry.care_of_test.sent};
    entry.care_of_token_address = to;
    proceed(from, entry);
}

void RouteOptimiser::receive_acknowledgement(const Ipv6Address& from, Entry& entry,
                                             const wire::BindingAcknowledgement& answer,
                                             ConstByteSpan header) {
    // The number in a status 135 is the correspondent's own (RFC 6275 section 11.7.3).
    const bool out_of_window = answer.status == BindingStatus::kSequenceNumberOutOfWindow;
    const auto update =
        out_of_window
            ? std::ranges::find_if(entry.updates,
                                   [&](const Update& one) {
                                       return is_authentic(header, answer.options,
                                                           one.care_of_address, from, one.key);
                                   })
            : std::ranges::find(entry.updates, answer.sequence, &Update::sequence);
    if (entry.purpose == Purpose::kNone || entry.updates.empty() ||
        (update == entry.updates.end() && !out_of_window)) {
        ++counters_.ignored_sequence;
        return;
    }
    // About nonces that it no longer has, the correspondent cannot sign (RFC 6275 section 9.5.4).
    if (!is_about_nonces(answer.status) &&
        (update == entry.updates.end() ||
         !is_authentic(header, answer.options, update->care_of_address, from, update->key))) {
        ++counters_.ignored_authenticator;
        return;
    }
    entry.last_status = answer.status;
    if (wire::is_accepted(answer.status)) {
        ++counters_.accepted;
        accepted(from, entry, Update{*update}, answer);
        return;
    }
    ++counters_.rejected;
    if (out_of_window) {
        entry.next_sequence = static_cast<std::uint16_t>(answer.sequence + 1);
        entry.updates.clear();
        transmit(from, entry, Kind::kUpdate);
    } else if (is_about_nonces(answer.status)) {
        nonce_expired(from, entry, answer.status);
    } else {
        rejected(from, entry, answer.status);
    }
}

void RouteOptimiser::accepted(const Ipv6Address& from, Entry& entry, const Update& update,
                              const wire::BindingAcknowledgement& answer) {
    if (entry.purpose == Purpose::kDelete) {
        news(from, "binding deleted", answer.status);
        return end_deletion(from, entry);
    }
    const Duration granted = std::min(answer.lifetime, update.lifetime).seconds();
    if (granted == Duration::zero() || update.sent + granted <= now_) {
        news(from, "accepted without a lifetime", answer.status);
        drop_binding(entry);
        return back_off(entry);
    }
    const bool was_usable = is_usable(entry);
    stop(entry);
    entry.failures = 0;
    entry.backoff = {};
    entry.binding =
        Binding{update.care_of_address, update.sent + granted, update.sent + granted * 4 / 5, now_};
    if (was_usable) return;
    routes_changed_ = true;
    news(from, "direct way", answer.status);
}

void RouteOptimiser::nonce_expired(const Ipv6Address& from, Entry& entry, BindingStatus status) {
    if (++entry.nonce_failures > kMostNonceFailures) {
        news(from, "its nonces expire at once", status);
        if (entry.purpose == Purpose::kDelete) return end_deletion(from, entry);
        return back_off(entry);
    }
    if (status != BindingStatus::kExpiredCareOfNonceIndex) entry.home_token.reset();
    if (status != BindingStatus::kExpiredHomeNonceIndex) entry.care_of_token.reset();
    entry.update.outstanding = false;
    entry.updates.clear();
    proceed(from, entry);
}

void RouteOptimiser::rejected(const Ipv6Address& from, Entry& entry, BindingStatus status) {
    news(from, "rejected", status);
    if (entry.purpose == Purpose::kDelete) return end_deletion(from, entry);
    // What it holds, if anything, is an earlier care-of address or on its way out.
    drop_binding(entry);
    const bool temporary = status == BindingStatus::kReasonUnspecified ||
                           status == BindingStatus::kInsufficientResources;
    if (temporary) return back_off(entry);
    rest(entry, config_.refused_for);
}

bool RouteOptimiser::may_act_unauthentic(Entry& entry) {
    if (entry.last_unauthentic && now_ - *entry.last_unauthentic < config_.unauthentic_interval) {
        return false;
    }
    entry.last_unauthentic = now_;
    return true;
}

// Status 1 makes us fall back to the tunnel, where packets arrive at least; status 2 is about a
// message of ours.
void RouteOptimiser::receive_error(const Ipv6Address& from, Entry& entry,
                                   const wire::BindingError& error) {
    ++counters_.binding_errors;
    if (error.status == wire::BindingErrorStatus::kUnrecognizedType) {
        if (entry.purpose == Purpose::kNone) return;
        news(from, "knows no Mobile IPv6");
        if (entry.purpose == Purpose::kDelete) return end_deletion(from, entry);
        drop_binding(entry);
        return rest(entry, config_.refused_for);
    }
    if (error.home_address != config_.home_address || !entry.binding ||
        entry.purpose == Purpose::kDelete) {
        return;
    }
    news(from, "has no binding any more");
    drop_binding(entry);
    if (entry.purpose != Purpose::kNone || place_ != Place::kAway) return;
    if (may_act_unauthentic(entry)) {
        begin(from, entry, Purpose::kRegister);
    } else {
        rest(entry, config_.unauthentic_interval);
    }
}

void RouteOptimiser::receive_refresh_request(const Ipv6Address& from, Entry& entry) {
    ++counters_.refresh_requests;
    if (!is_usable(entry) || entry.purpose != Purpose::kNone || !may_act_unauthentic(entry)) return;
    begin(from, entry, Purpose::kRegister);
}

}  // namespace homeport::mip6
