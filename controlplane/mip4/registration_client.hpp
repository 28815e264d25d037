// SPDX-License-Identifier: BSD-3-Clause
// The mobile node's side of one registration: makes requests, judges replies (RFC 5944 section 3.6;
// 3519, 5265). When to send is said elsewhere, see network_detection.hpp. Pure.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/mip4/authenticator.hpp"
#include "controlplane/mip4/identification.hpp"
#include "controlplane/wire/mip4_messages.hpp"

namespace homeport::mip4 {

struct RegistrationClientConfig {
    Ipv4Address home_address{};  // 0.0.0.0: to be given, by `nai`
    Ipv4Address home_agent{};
    std::string nai{};
    SecurityAssociation association{};
    std::uint16_t lifetime = 600;  // seconds, asked for
    bool reverse_tunnel = true;    // T
    bool broadcasts = false;       // B
    bool gre = false;              // G
    bool minimal = false;          // M
    bool udp_tunnel = true;        // asks for UDP where there is a NAT (RFC 3519)
    bool force_udp = false;        // F of that request
};

/// Where the mobile node is.
struct CareOf {
    Ipv4Address address{};
    bool co_located = true;  // D; false: the foreign agent's
    friend bool operator==(const CareOf&, const CareOf&) = default;
};

/// What is known of one home agent, whichever way requests take to it. Clients with the same
/// security association share it: time stamps must grow from request to request over all of them,
/// and a nonce is good for one.
struct HomeAgentKnowledge {
    Ipv4Address home_address{};     // as configured, or as the home agent gave it
    Ipv4Address home_agent{};       // 136 may name another
    std::int64_t clock_offset = 0;  // seconds, of the home agent's clock to ours
    NtpTime last = 0;               // identification, time stamps
    std::uint32_t nonce = 0;        // for the next request
};

struct RegistrationOutcome {
    enum class Kind : std::uint8_t {
        kIgnored,  // not an authentic answer to an outstanding request
        kAccepted,
        kDenied,  // by the home agent or a foreign agent, see `code`
        kRetry,   // refused, but the next request will be right: 133 and 136
    };
    Kind kind = Kind::kIgnored;
    std::uint8_t code = 0;
    bool deregister = false;     // what the request asked for
    std::uint16_t lifetime = 0;  // seconds from when the request was sent; 0: deregistered
    Ipv4Address home_address{};
    std::optional<wire::Mip4UdpTunnelReply> udp{};  // only with one may UDP be used
    bool trusted_networks = false;                  // TNC under the authentication (S2.93)
    const char* why = "";                           // static text
};

class RegistrationClient {
  public:
    /// `shared`: with other clients of that home agent; null: alone.
    explicit RegistrationClient(RegistrationClientConfig config,
                                std::shared_ptr<HomeAgentKnowledge> shared = nullptr);

    /// A request as UDP payload, and remembers it. With time stamps each has a greater
    /// identification than the one before (RFC 5944 section 5.7.1). `random`: fresh bits.
    /// `most`: seconds that a foreign agent grants at most.
    [[nodiscard]] std::vector<std::uint8_t> request(const CareOf& care_of, bool deregister,
                                                    NtpTime time, std::uint32_t random,
                                                    std::uint16_t most = 0xffff);

    /// A UDP payload from port 434. `from_foreign_agent`: codes of foreign agents, which need no
    /// authentication of ours, are taken.
    [[nodiscard]] RegistrationOutcome receive(ConstByteSpan payload, bool from_foreign_agent,
                                              NtpTime time);

    /// Nothing that was sent may be answered any more: the network changed (S2.48).
    void forget_requests() { outstanding_.clear(); }

    /// As configured, or as the home agent gave it.
    [[nodiscard]] const Ipv4Address& home_address() const { return known_->home_address; }
    [[nodiscard]] const Ipv4Address& home_agent() const { return known_->home_agent; }
    /// S: other care-of addresses stay bound (RFC 5944 section 3.3).
    void set_simultaneous(bool simultaneous) { simultaneous_ = simultaneous; }
    /// What is asked for: as configured, less what was refused.
    [[nodiscard]] const RegistrationClientConfig& config() const { return config_; }

  private:
    static constexpr std::size_t kMostOutstanding = 8;
    struct Outstanding {
        std::uint64_t identification = 0;
        NtpTime sent = 0;
        bool deregister = false;
        bool asked_for_udp = false;
    };
    [[nodiscard]] RegistrationOutcome deny(const wire::RegistrationReply& reply,
                                           const Outstanding& request, NtpTime time);
    [[nodiscard]] RegistrationOutcome by_foreign_agent(const wire::RegistrationReply& reply);
    [[nodiscard]] bool give_way(std::uint8_t code, bool asked_for_udp = false);
    [[nodiscard]] std::uint64_t next_identification(NtpTime time, std::uint32_t random);
    [[nodiscard]] RegistrationOutcome judge(const wire::RegistrationReply& reply,
                                            const Outstanding& request, NtpTime time);

    RegistrationClientConfig config_;
    std::shared_ptr<HomeAgentKnowledge> known_;
    std::deque<Outstanding> outstanding_;  // newest last
    bool simultaneous_ = false;
};

}  // namespace homeport::mip4
