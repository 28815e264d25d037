// SPDX-License-Identifier: BSD-3-Clause
// An error of the management side of IPsec: a sentence that says what was wrong, where, and what
// was expected. It never contains key material.
#pragma once

#include <expected>
#include <string>
#include <utility>

namespace homeport::ipsec {

struct Error {
    std::string text;
};

template <class T>
using Result = std::expected<T, Error>;

[[nodiscard]] inline std::unexpected<Error> fail(std::string text) {
    return std::unexpected(Error{std::move(text)});
}

}  // namespace homeport::ipsec
