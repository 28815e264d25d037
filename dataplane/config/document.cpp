// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/config/document.hpp"

#include <yaml-cpp/eventhandler.h>

#include <fstream>
#include <sstream>
#include <system_error>

namespace homeport::config {

namespace {

// Remembers where documents begin, and takes nothing else of them.
class DocumentStart final : public YAML::EventHandler {
  public:
    std::optional<YAML::Mark> start;

    void OnDocumentStart(const YAML::Mark& mark) override { start = mark; }
    void OnDocumentEnd() override {}
    void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
    void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
    void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t,
                  const std::string&) override {}
    void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                         YAML::EmitterStyle::value) override {}
    void OnSequenceEnd() override {}
    void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                    YAML::EmitterStyle::value) override {}
    void OnMapEnd() override {}
};

}  // namespace

ConfigErrors error_in(std::string_view file, std::string found, std::string expected) {
    ConfigError error;
    error.file = file;
    error.found = std::move(found);
    error.expected = std::move(expected);
    return {std::move(error)};
}

std::expected<std::string, ConfigErrors> read_text(const std::filesystem::path& file,
                                                   std::size_t most) {
    std::error_code error;
    const auto status = std::filesystem::status(file, error);
    const auto refuse = [&](const char* found, const char* expected) {
        return std::unexpected(error_in(file.string(), found, expected));
    };
    if (error || status.type() == std::filesystem::file_type::not_found) {
        return refuse("no such file", "a configuration file");
    }
    if (status.type() == std::filesystem::file_type::directory) {
        return refuse("a directory", "a configuration file");
    }
    std::ifstream stream(file, std::ios::binary);
    std::string text(most + 1, '\0');
    if (stream) stream.read(text.data(), static_cast<std::streamsize>(text.size()));
    if (!stream.is_open() || stream.bad()) {
        return refuse("a file that cannot be read", "a readable configuration file");
    }
    text.resize(static_cast<std::size_t>(stream.gcount()));
    if (text.size() > most) {
        const std::string limit = std::to_string(most >> 20) + " MiB";
        return std::unexpected(error_in(file.string(), "more than " + limit, "at most " + limit));
    }
    return text;
}

// Two steps and no more: the parser gives documents without end for
// text like ",", so YAML::LoadAll() would not return.
std::optional<YAML::Mark> second_document(const std::string& text) {
    std::istringstream stream(text);
    YAML::Parser parser(stream);
    DocumentStart first, second;
    if (!parser.HandleNextDocument(first) || !parser.HandleNextDocument(second)) return {};
    return second.start;
}

}  // namespace homeport::config
