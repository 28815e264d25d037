// SPDX-License-Identifier: BSD-3-Clause
// Route optimisation on the mobile node: return routability and the bindings at correspondent nodes
// (RFC 6275 sections 5.2, 11.4.3 to 11.7). A pure state machine as mobile_node.hpp: events and the
// time in, actions out, packets in normal form.
//
// One entry is kept a correspondent: what the correspondent grants, the keygen tokens, at most one
// procedure under way (registration or deletion), and after failures the time until which it is
// left alone. The number of entries, of procedures begun a second and of messages a second to one
// correspondent is bounded.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "controlplane/mip6/rate_limiter.hpp"
#include "controlplane/mip6/return_routability.hpp"
#include "controlplane/wire/mobility_header.hpp"
#include "dataplane/base/address.hpp"

namespace homeport::mip6 {

struct RouteOptimiserConfig {
    Ipv6Address home_address;
    Ipv6Address home_agent;
    std::vector<Ipv6Prefix> correspondents;    // masked: whom to register with
    std::size_t most = 64;                     // entries
    std::chrono::seconds lifetime{420};        // asked for; MAX_RR_BINDING_LIFETIME
    std::chrono::seconds token_lifetime{210};  // MAX_TOKEN_LIFETIME
    std::chrono::milliseconds initial_timeout{1000};
    std::chrono::milliseconds max_timeout{32'000};
    unsigned attempts = 4;         // transmissions of one message: 15 s in all
    unsigned max_failures = 3;     // MAX_RO_FAILURE: failed procedures, then `refused_for`
    unsigned max_update_rate = 3;  // MAX_UPDATE_RATE, a second, type and correspondent
    std::chrono::seconds initial_backoff{10};
    std::chrono::seconds max_backoff{320};
    std::chrono::seconds refused_for{3600};  // no second try before, where there is no support
    std::chrono::seconds idle{60};           // without traffic a binding is not refreshed
    /// Nobody vouches for Binding Errors and Refresh Requests: no more often than this they start
    /// anything.
    std::chrono::seconds unauthentic_interval{10};
    double starts_per_second = 10;
    double starts_burst = 20;
    std::chrono::milliseconds shutdown_patience{2000};
};

/// HoTI, HoA > correspondent: by the tunnel, or natively at home. Never with Home Address option.
struct SendHomeTestInit {
    std::vector<std::uint8_t> packet;
};
/// CoTI, care-of address > correspondent: as it is, past the tunnel.
struct SendCareOfTestInit {
    std::vector<std::uint8_t> packet;
    Ipv6Address care_of_address;
};
/// HoA > correspondent: with Home Address option from `care_of_address`; without one, at home, as
/// it is.
struct SendCorrespondentUpdate {
    std::vector<std::uint8_t> packet;
    std::optional<Ipv6Address> care_of_address;
    std::uint16_t sequence = 0;
};
/// routes() or bound() differ from what they were.
struct RoutesChanged {};
/// For the log.
struct CorrespondentNews {
    Ipv6Address correspondent;
    const char* text = "";  // static
    std::optional<wire::BindingStatus> status;
};
using RouteOptimiserAction =
    std::variant<SendHomeTestInit, SendCareOfTestInit, SendCorrespondentUpdate, RoutesChanged,
                 CorrespondentNews>;
using RouteOptimiserActions = std::vector<RouteOptimiserAction>;

struct RouteOptimiserCounters {
    std::uint64_t home_tests_sent = 0;
    std::uint64_t care_of_tests_sent = 0;
    std::uint64_t updates_sent = 0;
    std::uint64_t accepted = 0;
    std::uint64_t rejected = 0;
    std::uint64_t given_up = 0;           // procedures without an answer
    std::uint64_t limited = 0;            // not begun: too many correspondents, or too fast
    std::uint64_t ignored_malformed = 0;  // no packet, or no mobility header that decodes
    std::uint64_t ignored_unknown = 0;    // from nobody that we asked
    std::uint64_t ignored_cookie = 0;
    std::uint64_t ignored_path = 0;  // not by the way that such a message takes
    std::uint64_t ignored_sequence = 0;
    std::uint64_t ignored_authenticator = 0;
    std::uint64_t ignored_message = 0;
    std::uint64_t binding_errors = 0;
    std::uint64_t refresh_requests = 0;
};

class RouteOptimiser {
  public:
    using TimePoint = std::chrono::steady_clock::time_point;
    using Duration = std::chrono::steady_clock::duration;

    /// `random` makes cookies and first sequence numbers: not to be guessed.
    RouteOptimiser(RouteOptimiserConfig config, std::function<std::uint64_t()> random);

    /// The home agent has us at `care_of_address`, until `binding_expires`.
    [[nodiscard]] RouteOptimiserActions away(const Ipv6Address& care_of_address,
                                             TimePoint binding_expires, TimePoint now);
    /// Deregistered at home: what correspondents hold is deleted.
    [[nodiscard]] RouteOptimiserActions at_home(TimePoint now);
    /// No way out at present. Bindings live on at the correspondents.
    [[nodiscard]] RouteOptimiserActions detached(TimePoint now);

    /// The home agent tunnelled a packet of an application there to us.
    [[nodiscard]] RouteOptimiserActions tunnelled_from(const Ipv6Address& correspondent,
                                                       TimePoint now);
    /// Traffic took the direct way.
    void used(const Ipv6Address& correspondent, TimePoint now);
    /// It answered one of our messages with an ICMPv6 error that says it knows no Mobile IPv6
    /// (RFC 6275 section 11.3.5), or the direct way cannot be used.
    [[nodiscard]] RouteOptimiserActions unsupported(const Ipv6Address& correspondent,
                                                    const char* reason, TimePoint now);

    enum class Way : std::uint8_t {
        kTunnel,  // by the home agent
        kDirect,  // to the care-of address, a type 2 routing header undone; at home: natively
    };
    /// A mobility header from a correspondent, in normal form.
    [[nodiscard]] RouteOptimiserActions receive(ConstByteSpan packet, Way way, TimePoint now);

    [[nodiscard]] RouteOptimiserActions tick(TimePoint now);
    [[nodiscard]] std::optional<TimePoint> next_deadline() const;

    /// Deletes all bindings; finished() once that is done, or patience is at its end.
    [[nodiscard]] RouteOptimiserActions shutdown(TimePoint now);
    [[nodiscard]] bool finished() const;

    /// Correspondents that have a binding with our present care-of address.
    [[nodiscard]] std::vector<Ipv6Address> routes() const;
    /// Correspondents that have a binding, with whatever care-of address.
    [[nodiscard]] std::vector<Ipv6Address> bound() const;
    [[nodiscard]] bool knows(const Ipv6Address& correspondent) const {
        return entries_.contains(correspondent);
    }

    struct Status {
        Ipv6Address correspondent;
        const char* state = "";  // "testing", "updating", "bound", "deleting", "resting", "idle"
        std::optional<Ipv6Address> care_of_address;
        std::optional<TimePoint> expires;
        std::optional<TimePoint> rests_until;
        std::uint16_t sequence = 0;
        unsigned failures = 0;
        std::optional<wire::BindingStatus> last_status;
    };
    /// In no order.
    [[nodiscard]] std::vector<Status> status() const;
    [[nodiscard]] const RouteOptimiserCounters& counters() const { return counters_; }

  private:
    enum class Place : std::uint8_t { kDetached, kAway, kHome };
    enum class Purpose : std::uint8_t { kNone, kRegister, kDelete };
    enum class Kind : std::uint8_t { kHomeTest, kCareOfTest, kUpdate };

    struct Token {
        std::uint64_t value = 0;
        std::uint16_t index = 0;
        TimePoint asked{};  // lifetimes count from the question
    };
    /// A message that is repeated until it is answered.
    struct Message {
        bool outstanding = false;
        std::uint64_t cookie = 0;
        unsigned attempts = 0;
        Duration timeout{};
        TimePoint next{};
        TimePoint sent{};
        std::deque<TimePoint> recent;
    };
    struct Update {
        std::uint16_t sequence = 0;
        TimePoint sent{};
        wire::FourSecondUnits lifetime;
        Ipv6Address care_of_address;  // that the authenticator holds
        BindingManagementKey key;
    };
    struct Binding {
        Ipv6Address care_of_address;
        TimePoint expires{};
        TimePoint refresh_at{};
        TimePoint since{};
    };
    struct Entry {
        std::optional<Binding> binding;
        Purpose purpose = Purpose::kNone;
        std::optional<Token> home_token;
        std::optional<Token> care_of_token;
        Ipv6Address care_of_token_address;
        Message home_test, care_of_test, update;
        std::vector<Update> updates;  // outstanding
        std::uint16_t next_sequence = 0;
        unsigned nonce_failures = 0;
        unsigned failures = 0;
        Duration backoff{};
        std::optional<TimePoint> rests_until;
        std::optional<wire::BindingStatus> last_status;
        TimePoint last_traffic{};
        std::optional<TimePoint> last_unauthentic;
    };
    static constexpr std::size_t kMostOutstanding = 8;

    [[nodiscard]] Entry* find(const Ipv6Address& correspondent);
    [[nodiscard]] bool is_candidate(const Ipv6Address& correspondent) const;
    [[nodiscard]] bool make_room();
    [[nodiscard]] bool is_usable(const Entry& entry) const;
    [[nodiscard]] bool is_fresh(const std::optional<Token>& token) const;
    void begin(const Ipv6Address& correspondent, Entry& entry, Purpose purpose);
    void stop(Entry& entry);
    void proceed(const Ipv6Address& correspondent, Entry& entry);
    void ask(const Ipv6Address& correspondent, Entry& entry, Kind kind);
    void transmit(const Ipv6Address& correspondent, Entry& entry, Kind kind);
    [[nodiscard]] static Message& message_of(Entry& entry, Kind kind);
    [[nodiscard]] bool send_update(const Ipv6Address& correspondent, Entry& entry);
    void give_up(const Ipv6Address& correspondent, Entry& entry);
    void rest(Entry& entry, Duration duration);
    void back_off(Entry& entry);
    void drop_binding(Entry& entry);
    void end_deletion(const Ipv6Address& correspondent, Entry& entry);
    [[nodiscard]] bool may_act_unauthentic(Entry& entry);

    void receive_home_test(const Ipv6Address& from, Entry& entry, const wire::HomeTest& test,
                           Way way);
    void receive_care_of_test(const Ipv6Address& from, Entry& entry, const wire::CareOfTest& test,
                              const Ipv6Address& to, Way way);
    void receive_acknowledgement(const Ipv6Address& from, Entry& entry,
                                 const wire::BindingAcknowledgement& answer, ConstByteSpan header);
    void accepted(const Ipv6Address& from, Entry& entry, const Update& update,
                  const wire::BindingAcknowledgement& answer);
    void rejected(const Ipv6Address& from, Entry& entry, wire::BindingStatus status);
    void nonce_expired(const Ipv6Address& from, Entry& entry, wire::BindingStatus status);
    void receive_error(const Ipv6Address& from, Entry& entry, const wire::BindingError& error);
    void receive_refresh_request(const Ipv6Address& from, Entry& entry);

    void tick_entry(const Ipv6Address& correspondent, Entry& entry);
    void erase_gone();
    void news(const Ipv6Address& correspondent, const char* text,
              std::optional<wire::BindingStatus> status = std::nullopt);
    [[nodiscard]] RouteOptimiserActions take_actions();

    RouteOptimiserConfig config_;
    std::function<std::uint64_t()> random_;
    Place place_ = Place::kDetached;
    std::optional<Ipv6Address> care_of_address_;
    TimePoint home_binding_expires_{};
    std::unordered_map<Ipv6Address, Entry> entries_;
    std::vector<Ipv6Address> gone_;  // to be erased at the end of the event
    bool routes_changed_ = false;
    std::optional<TimePoint> shutdown_deadline_;
    TokenBucket starts_;
    RouteOptimiserCounters counters_;
    RouteOptimiserActions actions_;
    TimePoint now_{};
};

}  // namespace homeport::mip6
