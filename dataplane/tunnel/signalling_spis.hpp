// SPDX-License-Identifier: BSD-3-Clause
// Whether an ESP packet of the home agent carries signalling (S1.18), by either technique of S1.8:
//
// * api: IPsec tells the SPIs of the signalling entries of the SPD (S1.44). Answers are kept by
// home
//   address until the generation of IPsec's databases changes (S1.45).
// * heuristic: a SpiHeuristic for each home address (table S1-B). The protocol module's command to
//   send a message arms it.
//
// One object a worker; nothing is allocated after the start. Memory is bounded: a home address that
// has no room takes the place of the one that was used least recently, and is then new.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <new>

#include "dataplane/base/address.hpp"
#include "dataplane/base/cache_line.hpp"
#include "dataplane/ipsec/queries.hpp"
#include "dataplane/tunnel/signalling.hpp"
#include "dataplane/tunnel/spi_heuristic.hpp"

namespace homeport::tunnel {

class SignallingSpis {
  public:
    enum class Technique : std::uint8_t { kApi, kHeuristic };
    struct Settings {
        Technique technique = Technique::kApi;
        std::uint64_t timeout = 0;  ///< ticks of the clock that `now` is of
        std::uint8_t min_packets = 8;
        friend bool operator==(const Settings&, const Settings&) = default;
    };
    /// What happened since the last take_events().
    struct Events {
        std::uint32_t timeout = 0;   ///< windows without a message
        std::uint32_t mismatch = 0;  ///< data that had been taken for signalling
        std::uint32_t full = 0;      ///< messages that could not be announced
        std::uint32_t asked = 0;     ///< questions to IPsec
    };

    SignallingSpis();

    /// Makes room for answers about so many home addresses (64 to 2^20, more are cut off). Before
    /// the first packet; forgets everything. Throws std::bad_alloc.
    void reserve(std::size_t home_addresses);
    /// Other settings forget everything.
    void configure(const Settings& settings);

    /// A message to `home_address` goes into IPsec. Only the heuristic takes note.
    void arm(const Ipv6Address& home_address, std::uint64_t now,
             MessageKind kind = MessageKind::kMobility);
    /// It came out again as it was: nothing sealed is to be expected for it.
    void passed_unsealed(const Ipv6Address& home_address,
                         MessageKind kind = MessageKind::kMobility);

    /// What the api asks, and of whom; null: nothing is signalling. To be made anew for each batch:
    /// what changes in the databases is seen with the next one.
    class Question {
      public:
        Question(const ipsec::Queries* queries, const SignallingPolicies* policies)
            : queries_(queries), policies_(policies) {
            if (queries == nullptr || policies == nullptr || policies->count == 0) return;
            asks_ = true;
            stamp_ = static_cast<std::uint32_t>(queries->generation() << 1);
            // The list changes after the generation: an answer by the old list is one of another
            // question.
            salt_ = reinterpret_cast<std::uintptr_t>(policies) * 0x9e3779b97f4a7c15u;
        }

      private:
        friend class SignallingSpis;
        const ipsec::Queries* queries_;
        const SignallingPolicies* policies_;
        bool asks_ = false;
        std::uint32_t stamp_ = 0;
        std::uint64_t salt_ = 0;
    };

    /// Whether ESP with `spi` to `home_address` is signalling.
    [[nodiscard]] bool is_signalling(const Ipv6Address& home_address, std::uint32_t spi,
                                     std::uint64_t now, const Question& question) {
        return is_signalling(home_address, std::hash<Ipv6Address>{}(home_address), spi, now,
                             question);
    }
    /// The same where the caller knows a number of the home address's own, its binding's slot:
    /// answers about those that are bound stand close together.
    [[nodiscard]] bool is_signalling(const Ipv6Address& home_address, std::uint64_t place,
                                     std::uint32_t spi, std::uint64_t now,
                                     const Question& question) {
        if (settings_.technique == Technique::kApi) [[likely]] {
            if (!question.asks_) return false;
            const Answer& first = answers_[place & answer_mask_].answers[0];
            if (first.tag == tag_of(home_address, question.salt_) && first.spi == spi &&
                (first.stamp & ~1u) == question.stamp_) [[likely]] {
                return (first.stamp & 1) != 0;
            }
        }
        return is_signalling_slowly(home_address, place, spi, now, question);
    }

    /// Before is_signalling() with this place, if there are others to be looked at meanwhile.
    void prefetch(std::uint64_t place) const {
        __builtin_prefetch(&answers_[place & answer_mask_]);
    }

    class Known;

    /// There are windows that expire() may have to close.
    [[nodiscard]] bool awaits() const { return window_count_ != 0; }
    /// Closes windows whose time is over; at most a few a call.
    void expire(std::uint64_t now);

    [[nodiscard]] bool has_events() const { return has_events_; }
    [[nodiscard]] Events take_events();

  private:
    static constexpr std::size_t kBuckets = 4096;  // of kWays home addresses each, 3 MiB
    static constexpr std::size_t kWays = 4;
    static constexpr std::size_t kWindows = 1024;

    /// What IPsec said about an SPI.
    struct Answer {
        std::uint64_t tag;  // of home address and list of policies; 0: perhaps empty
        std::uint32_t spi;
        std::uint32_t stamp;  // lower bits of the generation, times 2; plus 1 for signalling
    };
    /// Those of the home addresses that fall here: one cache line.
    struct alignas(64) Answers {
        std::array<Answer, 4> answers;
    };
    static_assert(sizeof(Answers) == 64);

    static constexpr std::align_val_t kHugePage{2u << 20};
    struct FreeAligned {
        void operator()(Answers* memory) const { ::operator delete(memory, kHugePage); }
    };

    struct alignas(64) Peer {
        Ipv6Address home_address;
        std::uint64_t used = 0;                              // ticks; 0: empty
        std::array<SpiHeuristic, kMessageKinds> heuristics;  // by MessageKind

        [[nodiscard]] SpiHeuristic& of(MessageKind kind) {
            return heuristics[static_cast<std::size_t>(kind)];
        }
        [[nodiscard]] bool armed() const { return heuristics[0].armed() || heuristics[1].armed(); }
    };
    static_assert(sizeof(Peer) == 192);

    struct Window {
        Ipv6Address home_address;
        std::uint64_t deadline = 0;
        MessageKind kind{};
    };

    /// Only ever compared, so nothing has to be mixed.
    [[nodiscard]] static std::uint64_t tag_of(const Ipv6Address& home_address, std::uint64_t salt) {
        std::uint64_t halves[2];
        std::memcpy(halves, home_address.bytes.data(), sizeof halves);
        return halves[0] * 0x9e3779b97f4a7c15u ^ halves[1] ^ salt;
    }
    [[nodiscard]] bool is_signalling_slowly(const Ipv6Address& home_address, std::uint64_t place,
                                            std::uint32_t spi, std::uint64_t now,
                                            const Question& question);
    [[nodiscard]] bool guess(Peer& peer, std::uint32_t spi, std::uint64_t now);
    [[nodiscard]] static bool ask(const Ipv6Address& home_address, std::uint32_t spi,
                                  const ipsec::Queries& queries,
                                  const SignallingPolicies& policies);
    void keep(Answers& bucket, const Answer& answer);
    [[nodiscard]] Peer* find(const Ipv6Address& home_address);
    [[nodiscard]] Peer* find_or_make(const Ipv6Address& home_address, std::uint64_t now);
    void note(std::uint32_t Events::* event, std::uint32_t n = 1);

    Settings settings_;
    SpiHeuristic::Limits limits_;
    std::unique_ptr<Answers[], FreeAligned> answers_;
    std::size_t answer_mask_ = 0;
    unsigned next_victim_ = 0;
    LineVector<Peer> peers_;
    LineVector<Window> windows_;  // in the order of their ends: a ring
    std::size_t first_window_ = 0;
    std::size_t window_count_ = 0;
    Events events_;
    bool has_events_ = false;
};

/// What is known without asking anybody, for the loop over a burst; `question` is of its batch.
class SignallingSpis::Known {
  public:
    Known(const SignallingSpis& spis, const Question& question)
        : answers_(spis.answers_.get()),
          mask_(spis.answer_mask_),
          salt_(question.salt_),
          stamp_(spis.settings_.technique == Technique::kApi ? question.stamp_ : kNoAnswer),
          all_(spis.settings_.technique == Technique::kApi && !question.asks_) {}
    void prefetch(std::uint64_t place) const { __builtin_prefetch(&answers_[place & mask_]); }
    /// That this is no signalling. False: is_signalling() has to say.
    [[nodiscard]] bool is_data(const Ipv6Address& home_address, std::uint64_t place,
                               std::uint32_t spi) const {
        if (all_) return true;
        const Answer& first = answers_[place & mask_].answers[0];
        static_assert(offsetof(Answer, stamp) == offsetof(Answer, spi) + sizeof spi);
        std::uint64_t spi_and_stamp;
        std::memcpy(&spi_and_stamp, &first.spi, sizeof spi_and_stamp);
        return first.tag == tag_of(home_address, salt_) &&
               spi_and_stamp == (spi | std::uint64_t{stamp_} << 32);
    }

  private:
    /// While nothing is asked: all stamps are 0.
    static constexpr std::uint32_t kNoAnswer = 1;

    const Answers* answers_;
    std::size_t mask_;
    std::uint64_t salt_;
    std::uint32_t stamp_;
    bool all_;  // nothing is signalling
};

}  // namespace homeport::tunnel
