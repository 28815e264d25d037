// SPDX-License-Identifier: BSD-3-Clause
// A store in two parts: each commit appends to a journal, one write a round, and a thread of its
// own brings what the journals say into another store behind it, when there is time.
//
// A database pays for each changed row with a page of its log; at 100,000 registrations a second
// that is most of a core. The journal costs a few hundred nanoseconds each, and nothing is lost by
// it: a change is in the file when commit() returns, as it was with the database alone.
//
//   PATH            the store behind
//   PATH.journal-N  changes in their order, oldest file first; a file goes when PATH has it all
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <expected>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "controlplane/binding/store.hpp"

namespace homeport::binding {

class JournalStore final : public Store {
  public:
    struct Options {
        std::string path;  // of the store behind
        /// A journal of so many octets is closed and brought into the store behind.
        std::size_t fold_at = std::size_t{64} << 20;
        /// While that still runs the next one may grow to this; then commit() waits for it.
        std::size_t most = std::size_t{512} << 20;
        bool synchronous_full = false;  // sync to the disk at each commit
    };

    /// Takes the store behind, which only load_all() and the thread use from now on.
    [[nodiscard]] static std::expected<std::unique_ptr<JournalStore>, StoreError> open(
        Options options, std::unique_ptr<Store> behind);
    ~JournalStore() override;
    JournalStore(const JournalStore&) = delete;
    JournalStore& operator=(const JournalStore&) = delete;

    [[nodiscard]] std::expected<void, StoreError> persist(const Entry& entry,
                                                          const ClockPair& clocks) override;
    [[nodiscard]] std::expected<void, StoreError> erase(const Ipv6Address& home_address) override;
    /// Also tells, once, what went wrong when a journal was brought into the store behind.
    [[nodiscard]] std::expected<void, StoreError> commit() override;
    /// To be called before the first change.
    [[nodiscard]] std::expected<Loaded, StoreError> load_all(const ClockPair& clocks) override;

    /// Waits until every closed journal is in the store behind, or could not be brought there.
    void wait_for_fold();

  private:
    JournalStore(Options options, std::unique_ptr<Store> behind);
    [[nodiscard]] std::string file_name(std::uint64_t number) const;
    [[nodiscard]] std::expected<void, StoreError> find_journals();
    [[nodiscard]] std::expected<void, StoreError> begin_journal();
    void close_journal();
    void run();
    [[nodiscard]] std::expected<void, StoreError> fold(const std::string& file);

    Options options_;
    std::unique_ptr<Store> behind_;
    std::vector<std::uint8_t> buffer_;  // not yet written
    int file_ = -1;
    std::uint64_t number_ = 0;  // of the journal that is written
    std::size_t size_ = 0;      // its octets

    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::string> closed_;  // oldest first; guarded by mutex_, like the next five
    std::string problem_;
    std::atomic<bool> has_problem_ = false;  // problem_ has not been told; written under mutex_
    bool stops_ = false;
    bool has_failed_ = false;  // the first of closed_; tried again with the next one, or later
    bool is_loaded_ = false;
    std::thread thread_;
};

}  // namespace homeport::binding
