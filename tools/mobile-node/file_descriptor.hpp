// SPDX-License-Identifier: BSD-3-Clause
// Owns a file descriptor; and the errors of system calls as text.
#pragma once

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace homeport::mobile_node {

/// A sentence that says what failed and why.
struct Error {
    std::string text;
};
template <class T>
using Result = std::expected<T, Error>;

[[nodiscard]] inline std::unexpected<Error> fail(std::string text) {
    return std::unexpected(Error{std::move(text)});
}
/// `what`: the reason that `error`, an errno, stands for.
[[nodiscard]] inline std::unexpected<Error> fail_errno(std::string_view what, int error = errno) {
    return fail(std::string(what) + ": " + std::strerror(error));
}

class FileDescriptor {
  public:
    FileDescriptor() = default;
    explicit FileDescriptor(int fd) : fd_(fd) {}
    FileDescriptor(FileDescriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    FileDescriptor& operator=(FileDescriptor&& other) noexcept {
        if (this != &other) {
            close();
            fd_ = std::exchange(other.fd_, -1);
        }
        return *this;
    }
    FileDescriptor(const FileDescriptor&) = delete;
    FileDescriptor& operator=(const FileDescriptor&) = delete;
    ~FileDescriptor() { close(); }

    [[nodiscard]] int get() const { return fd_; }
    [[nodiscard]] bool is_open() const { return fd_ >= 0; }
    [[nodiscard]] int release() { return std::exchange(fd_, -1); }
    void close() {
        if (fd_ >= 0) ::close(fd_);
        fd_ = -1;
    }

  private:
    int fd_ = -1;
};

}  // namespace homeport::mobile_node
