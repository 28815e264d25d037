// SPDX-License-Identifier: BSD-3-Clause
// The Mobile IPv4 foreign agent as a pure protocol module (RFC 5944 section 3.7; RFC 2794, 3024,
// 3519, 3543): UDP payloads and time in, a list of actions out. No I/O, no clock.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "controlplane/mip4/binding.hpp"
#include "controlplane/mip4/foreign_agent_config.hpp"
#include "controlplane/mip4/foreign_agent_counters.hpp"
#include "controlplane/wire/mip4_foreign_agent_code.hpp"
#include "controlplane/wire/mip4_messages.hpp"

namespace homeport::mip4 {

/// How a registration request came in, from a visited link.
struct VisitorRequestInfo {
    std::size_t link = 0;  // place in ForeignAgentConfig::link_addresses
    MacAddress mac{};      // of the frame's source
    Endpoint source{};
    Ipv4Address destination{};  // an address of ours, 224.0.0.11 or a broadcast address
    bool destination_is_ours = true;
    std::uint8_t ttl = 255;
};

/// One mobile node that is registered by way of us.
struct Visitor {
    Ipv4Address home_address{};
    Ipv4Address home_agent{};
    std::string nai{};
    std::size_t link = 0;
    MacAddress mac{};
    Endpoint source{};            // of its last request that was accepted
    Ipv4Address agent_address{};  // ours, as it knows us
    Ipv4Address care_of_address{};
    bool co_located = false;      // has its own: its packets are none of our business
    bool reverse_tunnel = false;  // T
    bool encapsulating_delivery = false;
    bool broadcasts = false;                               // B
    bool gre = false;                                      // was asked for
    bool minimal = false;                                  //
    Encapsulation encapsulation = Encapsulation::kIpInIp;  // of the reverse tunnel
    bool udp = false;                                      // RFC 3519
    std::uint16_t home_agent_port = 434;
    std::chrono::seconds keepalive{0};
    bool revocation = false;             // negotiated
    bool revocation_informs = false;     // I, negotiated
    std::uint32_t revocation_stamp = 0;  // of the home agent: revocations must be later
    std::uint16_t lifetime = 0;          // seconds, granted; 0xffff: infinite
    std::uint64_t identification = 0;
    TimePoint registered{};
    TimePoint deadline{};  // TimePoint::max(): never
    friend bool operator==(const Visitor&, const Visitor&) = default;
};

/// UDP to a visitor, in one frame: nobody asks for its link address (RFC 5944 section 4.2.2).
struct SendToVisitor {
    std::size_t link = 0;
    MacAddress mac{};
    Ipv4Address source{};  // from port 434
    Endpoint to{};
    std::vector<std::uint8_t> payload{};
};
/// UDP from port 434 to port 434.
struct SendToHomeAgent {
    Ipv4Address care_of_address{};  // source
    Ipv4Address home_agent{};
    std::vector<std::uint8_t> payload{};
};
/// The data path is to know this visitor from now on, or in this form.
struct VisitorChanged {
    Visitor visitor{};
};
struct VisitorGone {
    Visitor visitor{};
    const char* why = "";
};
/// An ICMP echo request through the UDP tunnel (RFC 3519 section 4.9).
struct SendKeepalive {
    Visitor visitor{};
    std::uint16_t sequence = 0;
};
/// A unicast advertisement with sequence number 0: the binding is gone (RFC 3543 section 4.1).
struct SendReset {
    std::size_t link = 0;
    MacAddress mac{};
    Ipv4Address home_address{};
};
/// For the log; counted already.
struct ForeignAgentEvent {
    ForeignAgentCounter counter{};
    Ipv4Address home_address{};
    Ipv4Address home_agent{};
    MacAddress mac{};
    std::uint8_t code = 0;  // of a denial
    const char* detail = "";
};

using ForeignAgentAction = std::variant<SendToVisitor, SendToHomeAgent, VisitorChanged, VisitorGone,
                                        SendKeepalive, SendReset, ForeignAgentEvent>;
using ForeignAgentActions = std::vector<ForeignAgentAction>;

/// Not thread-safe: one owner. Time must not go backwards from call to call.
class ForeignAgentService {
  public:
    /// `counters` must outlive it.
    ForeignAgentService(ForeignAgentConfig config, ForeignAgentCounters& counters);

    /// A UDP payload to port 434 from a visited link, its checksum right. `clock`: seconds of a
    /// clock that never goes back, for revocation.
    [[nodiscard]] ForeignAgentActions receive_request(ConstByteSpan payload,
                                                      const VisitorRequestInfo& info, TimePoint now,
                                                      std::uint32_t clock);
    /// A UDP payload to port 434 from elsewhere, and no tunnel data.
    [[nodiscard]] ForeignAgentActions receive_from_home(ConstByteSpan payload,
                                                        const Endpoint& source,
                                                        const Ipv4Address& destination,
                                                        TimePoint now, std::uint32_t clock);
    /// An ICMP error about a message that we sent to `home_agent`. `quoted`: what came back of its
    /// UDP payload, maybe nothing.
    [[nodiscard]] ForeignAgentActions unreachable(const Ipv4Address& home_agent,
                                                  std::uint8_t icmp_type, std::uint8_t icmp_code,
                                                  ConstByteSpan quoted, TimePoint now);

    /// Time-outs, expiry, keepalives, repeated revocations.
    [[nodiscard]] ForeignAgentActions tick(TimePoint now, std::uint32_t clock);
    [[nodiscard]] std::optional<TimePoint> next_deadline() const;

    /// Ends a visitor's registration: tells the home agent where that was agreed (RFC 3543 section
    /// 4.2.3), and the visitor. False: there is no such visitor.
    [[nodiscard]] bool revoke(const Ipv4Address& home_address, TimePoint now, std::uint32_t clock,
                              ForeignAgentActions& actions);

    /// Something was sent through the UDP tunnel of this visitor; an answer to a keepalive came.
    void tunnel_used(const Ipv4Address& home_address, const Ipv4Address& home_agent, TimePoint now);
    void keepalive_answered(const Ipv4Address& home_address, const Ipv4Address& home_agent);

    /// The visitor that this home agent has registered.
    [[nodiscard]] const Visitor* find(const Ipv4Address& home_address,
                                      const Ipv4Address& home_agent) const;
    /// The one with this home address and link address that registered last: two home agents may
    /// have given it the same address (S2.80).
    [[nodiscard]] const Visitor* find(std::size_t link, const MacAddress& mac,
                                      const Ipv4Address& home_address) const;
    /// Whether anybody on that link has this home address.
    [[nodiscard]] bool has_visitor(std::size_t link, const Ipv4Address& home_address) const;
    [[nodiscard]] std::vector<const Visitor*> visitors() const;
    [[nodiscard]] std::size_t visitor_count() const { return visitors_.size(); }
    [[nodiscard]] std::size_t pending_count() const { return pending_.size(); }
    /// Nobody else can register (flag B).
    [[nodiscard]] bool is_busy() const { return visitors_.size() >= config_.max_visitors; }
    [[nodiscard]] bool is_care_of_address(const Ipv4Address& address) const;
    [[nodiscard]] const ForeignAgentConfig& config() const { return config_; }

  private:
    using Code = wire::ForeignAgentCode;
    using Count = ForeignAgentCounter;
    using VisitorKey = std::pair<Ipv4Address, Ipv4Address>;  // home address, home agent

    struct VisitorEntry {
        Visitor visitor;
        TimePoint last_sent{};  // into the UDP tunnel
        TimePoint next_keepalive = TimePoint::max();
        std::uint16_t sequence = 0;
        unsigned unanswered = 0;
        std::uint64_t order = 0;  // of registration
    };
    struct Pending {
        wire::RegistrationRequest request;  // without its extensions
        VisitorRequestInfo info;
        std::string nai;
        bool encapsulating_delivery = false;
        bool asked_for_udp = false;
        bool asked_for_revocation = false;
        TimePoint deadline{};
    };
    /// A request on its way through the checks.
    struct Request {
        wire::RegistrationRequest message;
        ConstByteSpan payload;
        VisitorRequestInfo info;
        std::string nai;
        std::size_t covered = 0;    // octets up to the end of what authorizes it
        std::size_t first_own = 0;  // first extension behind that
        bool encapsulating_delivery = false;
        const SecurityAssociation* mobile_key = nullptr;
        [[nodiscard]] bool is_deregistration() const { return message.lifetime == 0; }
    };
    struct Result {
        enum class Kind : std::uint8_t { kContinue, kDrop, kDeny };
        Kind kind = Kind::kContinue;
        Count counter{};
        Code code{};
        const char* detail = "";
        [[nodiscard]] static Result go_on() { return {}; }
        [[nodiscard]] static Result drop(Count counter, const char* detail) {
            return {Kind::kDrop, counter, {}, detail};
        }
        [[nodiscard]] static Result deny(Code code, const char* detail) {
            return {Kind::kDeny, {}, code, detail};
        }
    };
    /// A home agent's message that we ended, until its binding would have been over: a repeated
    /// revocation is acknowledged again; or a revocation of ours that is not acknowledged yet.
    struct Ended {
        Visitor visitor;
        bool by_us = false;
        bool answered = false;
        std::uint32_t identifier = 0;
        std::uint32_t last_received = 0;
        TimePoint next{};
        Duration interval{};
        TimePoint deadline{};
    };

    // foreign_agent_requests.cpp: the checks, in their order
    Result check_form(Request& request);
    Result check_mobile_foreign(Request& request);
    Result check_home_agent(const Request& request);
    Result check_home_address(const Request& request);
    Result check_lifetime(const Request& request);
    Result check_care_of_address(const Request& request);
    Result check_encapsulation(const Request& request);
    Result check_reverse_tunnel(Request& request);
    Result check_resources(const Request& request);
    void relay(const Request& request, TimePoint now, std::uint32_t clock);
    void deny(const wire::RegistrationRequest& message, const VisitorRequestInfo& info,
              const SecurityAssociation* key, Code code, const char* detail, TimePoint now);
    [[nodiscard]] bool may_deny(const MacAddress& mac, const Ipv4Address& home_agent,
                                TimePoint now);
    void send_to_visitor(const wire::RegistrationRequest& request, const VisitorRequestInfo& info,
                         const Ipv4Address& home_address, std::vector<std::uint8_t> payload,
                         const SecurityAssociation* key);

    // foreign_agent_replies.cpp
    void receive_reply(ConstByteSpan payload, const Endpoint& source, TimePoint now);
    [[nodiscard]] std::deque<Pending>::iterator pending_of(const wire::RegistrationReply& reply,
                                                           const Endpoint& source);
    [[nodiscard]] bool is_sealed_by(const Ipv4Address& home_agent, ConstByteSpan payload,
                                    const wire::Mip4Extensions& extensions) const;
    void replace_reply(const Pending& pending, Code code, const char* detail);
    void accept_reply(const Pending& pending, const wire::RegistrationReply& reply,
                      const Endpoint& source, std::size_t own, TimePoint now);
    void relay_reply(const Pending& pending, const wire::RegistrationReply& reply,
                     ConstByteSpan payload, std::size_t covered);

    // foreign_agent_revocation.cpp
    void receive_revocation(const wire::RegistrationRevocation& message, ConstByteSpan payload,
                            const Endpoint& source, const Ipv4Address& destination, TimePoint now);
    void receive_acknowledgement(const wire::RevocationAcknowledgement& message,
                                 ConstByteSpan payload, const Endpoint& source);
    void send_revocation(Ended& ended, TimePoint now, std::uint32_t clock);
    void repeat_revocations(TimePoint now, std::uint32_t clock);
    void remember_ended(Ended ended);

    void end_visitor(std::map<VisitorKey, VisitorEntry>::iterator entry, Count counter,
                     const char* why);
    void event(Count counter, const Ipv4Address& home_address, const Ipv4Address& home_agent,
               const MacAddress& mac, const char* detail = "", std::uint8_t code = 0);
    [[nodiscard]] const SecurityAssociation* home_agent_key(const Ipv4Address& address) const;
    [[nodiscard]] const SecurityAssociation* home_agent_key(const Ipv4Address& address,
                                                            std::uint32_t spi) const;
    [[nodiscard]] const SecurityAssociation* mobile_node_key(const Ipv4Address& home_address,
                                                             const std::string& nai) const;
    [[nodiscard]] ForeignAgentActions take_actions();

    static constexpr std::size_t kMostEnded = 256;
    static constexpr std::size_t kMostDenied = 1024;

    ForeignAgentConfig config_;
    ForeignAgentCounters& counters_;
    ForeignAgentActions actions_;
    std::map<VisitorKey, VisitorEntry> visitors_;
    std::deque<Pending> pending_;  // oldest first
    std::deque<Ended> ended_;      // oldest first
    /// When a node was last denied with this home agent.
    std::map<std::pair<MacAddress, Ipv4Address>, TimePoint> denied_;
    std::uint64_t order_ = 0;
};

}  // namespace homeport::mip4
