// SPDX-License-Identifier: BSD-3-Clause
// Tells sealed signalling from sealed data towards one peer without asking IPsec: technique B,
// table S1-B (S1.46 to S1.48). Data is many packets with SPIs that have been in use for some time;
// a message is one packet, with another SPI, that the protocol module announces.
//
// Use: one object a peer: at the mobile node the home agent, at the home agent a home address. The
// protocol module calls arm() when it gives a message to IPsec, and holds back other messages that
// are sealed with SAs of their own until armed() is false again ("locking"). packet() is asked
// about every ESP packet to the peer behind IPsec. Where messages are answered, confirm() follows a
// valid answer; where they are not, the SPI of two windows in a row is as good as confirmed.
//
// No I/O, no memory but its own. Times are ticks of the caller's clock, which does not go back.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace homeport::tunnel {

class SpiHeuristic {
  public:
    struct Limits {
        std::uint64_t timeout = 0;            ///< ticks that a window is open (bu_heur_timeout)
        std::uint8_t min_packets = 8;         ///< after so many an SPI is data (bu_heur_min_pkts)
        std::uint8_t matches_to_confirm = 0;  ///< windows that stand for an answer; 0: none do
    };
    /// SPIs of data that are kept in mind; the least used one makes room.
    static constexpr std::size_t kDataSpis = 8;
    /// A candidate with more packets outside of windows was data.
    static constexpr std::uint8_t kUnarmedUses = 2;
    /// Messages that may be on their way through IPsec at once.
    static constexpr std::uint8_t kMostArmed = 4;

    /// What became of a packet, and of what was thought before.
    struct Seen {
        bool signalling = false;  ///< the packet is the message that was announced
        bool timeout = false;     ///< a window had ended without one: "not seen"
        bool mismatch = false;    ///< what was taken for signalling is data
    };

    /// A message goes into IPsec at `now`. True: a window had ended without one.
    bool arm(std::uint64_t now, const Limits& limits);
    /// An ESP packet with `spi` (not 0) comes out of IPsec.
    [[nodiscard]] Seen packet(std::uint32_t spi, std::uint64_t now, const Limits& limits);
    /// The last message was followed by a valid answer: its SPI is the one of signalling.
    void confirm();
    /// A message was seen otherwise, unsealed: one is expected less.
    void disarm();
    /// Closes a window whose time is over. True: it ended without a match.
    bool expire(std::uint64_t now);

    [[nodiscard]] bool armed() const { return armed_ != 0; }
    /// 0: none.
    [[nodiscard]] std::uint32_t signalling_spi() const { return known_; }
    [[nodiscard]] std::uint32_t candidate() const { return candidate_; }
    [[nodiscard]] bool is_data(std::uint32_t spi, const Limits& limits) const;

  private:
    [[nodiscard]] bool in_window(std::uint32_t spi, const Limits& limits);
    [[nodiscard]] bool outside(std::uint32_t spi, const Limits& limits);
    void match(const Limits& limits);
    void count(std::uint32_t spi);
    void note_data(std::uint32_t spi);
    std::uint8_t& slot_for(std::uint32_t spi);

    std::array<std::uint32_t, kDataSpis> spis_{};
    std::array<std::uint8_t, kDataSpis> counts_{};  // packets; stays at 255
    std::uint64_t deadline_ = 0;
    std::uint32_t known_ = 0;      // confirmed
    std::uint32_t candidate_ = 0;  // matched, not confirmed
    std::uint32_t other_ = 0;      // first unknown SPI of a window that waits for a preferred one
    std::uint8_t armed_ = 0;
    std::uint8_t unarmed_ = 0;  // packets with the preferred SPI since its last match
    std::uint8_t matches_ = 0;  // windows that the candidate matched
    std::uint8_t next_ = 0;     // slot that makes room when all are used alike
};

}  // namespace homeport::tunnel
