// SPDX-License-Identifier: BSD-3-Clause
// The queries, answered from the databases of this room. From any thread that takes part in the
// reclaimer's scheme.
#pragma once

#include "dataplane/ipsec/queries.hpp"
#include "dataplane/ipsec/sad.hpp"
#include "dataplane/ipsec/spd.hpp"

namespace homeport::ipsec {

class DatabaseQueries final : public Queries {
  public:
    /// Both must outlive it. They are read and never changed (S1.81).
    DatabaseQueries(const SecurityPolicyDatabase& spd, const SecurityAssociationDatabase& sad)
        : spd_(spd), sad_(sad) {}

    [[nodiscard]] SpiAnswers spi_for_policy(PolicyId policy,
                                            const std::optional<IpAddress>& remote) const override;
    [[nodiscard]] SpiAnswers spi_for_policy(const SelectorTuple& tuple) const override;
    [[nodiscard]] std::optional<SelectorAnswer> selectors_for_spi(Spi spi) const override;
    void selectors_for_spi(std::span<const Spi> spis,
                           std::optional<Ipv6Address>* remotes) const override;
    [[nodiscard]] std::uint64_t generation() const override {
        return spd_.generation() + sad_.generation();
    }

  private:
    const SecurityPolicyDatabase& spd_;
    const SecurityAssociationDatabase& sad_;
};

}  // namespace homeport::ipsec
