// SPDX-License-Identifier: BSD-3-Clause
// From a file to one YAML document, with errors that say where. For readers of configuration.
#pragma once

#include <yaml-cpp/yaml.h>

#include <cstddef>
#include <expected>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "dataplane/config/reader.hpp"

namespace homeport::config {

/// One error without a place in the text.
[[nodiscard]] ConfigErrors error_in(std::string_view file, std::string found, std::string expected);

/// The whole text of a regular file of at most `most` octets.
[[nodiscard]] std::expected<std::string, ConfigErrors> read_text(const std::filesystem::path& file,
                                                                 std::size_t most);

/// Where a second document begins; nothing if there is at most one. Throws YAML::Exception.
[[nodiscard]] std::optional<YAML::Mark> second_document(const std::string& text);

/// What `read` makes of the one document of `text`; exceptions of the YAML library become errors.
template <class Read>
auto read_document_of(std::string_view text, std::string_view file, Read&& read)
    -> decltype(read(YAML::Node())) {
    try {
        const std::string whole(text);
        if (const auto mark = second_document(whole)) {
            Report report(file);
            report.add(*mark, "", "a second document", "one YAML document");
            return std::unexpected(report.take());
        }
        return read(YAML::Load(whole));
    } catch (const YAML::Exception& error) {
        Report report(file);
        report.add(error.mark, "", "text that is not YAML (" + error.msg + ")", "YAML 1.2");
        return std::unexpected(report.take());
    } catch (const std::exception& error) {
        return std::unexpected(error_in(file, error.what(), "a configuration that can be read"));
    }
}

}  // namespace homeport::config
