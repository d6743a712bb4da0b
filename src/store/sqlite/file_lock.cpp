#include "store/sqlite/file_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>

namespace postern::store::sqlite {
namespace {

[[nodiscard]] std::unexpected<Error> cannot_open(const std::string& path, int error) {
  return fault("store_cannot_open", fmt::format("{}: {}", path, std::strerror(error)));
}

[[nodiscard]] std::string owner_in(int descriptor) {
  std::array<char, 32> text{};
  const ssize_t size = pread(descriptor, text.data(), text.size(), 0);
  return size > 0 ? std::string(text.data(), static_cast<std::size_t>(size)) : "unknown";
}

/// Only a help for people: whether it can be written does not matter.
void write_owner(int descriptor) {
  const std::string owner = std::to_string(getpid());
  if (ftruncate(descriptor, 0) != 0) return;
  [[maybe_unused]] const ssize_t size = pwrite(descriptor, owner.data(), owner.size(), 0);
}

[[nodiscard]] std::unexpected<Error> not_only_ours(const std::string& path, std::string_view why) {
  return fault("store_cannot_open", fmt::format("{}: {}", path, why));
}

/// The folder's own sticky bit keeps others from what is in it, as in /tmp.
[[nodiscard]] bool others_may_write(const struct stat& facts) {
  if (S_ISDIR(facts.st_mode) && (facts.st_mode & S_ISVTX) != 0) return false;
  return (facts.st_mode & (S_IWGRP | S_IWOTH)) != 0;
}

[[nodiscard]] std::string folder_of(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

}  // namespace

Result<void> check_only_ours(const std::string& path) {
  struct stat facts{};
  const std::string folder = folder_of(path);
  if (::stat(folder.c_str(), &facts) != 0) return cannot_open(folder, errno);
  if (others_may_write(facts)) {
    return not_only_ours(folder,
                         "others may put another file here: take their right to write away "
                         "(chmod go-w)");
  }
  if (::lstat(path.c_str(), &facts) != 0) {
    if (errno == ENOENT) return {};
    return cannot_open(path, errno);
  }
  if (S_ISLNK(facts.st_mode)) {
    return not_only_ours(path,
                         "this is a link, under which the store could be opened twice: name "
                         "the file itself in store.url");
  }
  if (!S_ISREG(facts.st_mode)) return not_only_ours(path, "this is not a file");
  if (facts.st_nlink != 1) {
    return not_only_ours(path,
                         "the file has another name, under which it could be opened twice: "
                         "remove that one");
  }
  if (facts.st_uid != 0 && facts.st_uid != ::geteuid()) {
    return not_only_ours(path, "the file is another user's: give it to the one Postern runs as");
  }
  if (others_may_write(facts)) {
    return not_only_ours(path,
                         "others may change the store: take their right to write away "
                         "(chmod go-w)");
  }
  return {};
}

Result<FileLock> FileLock::take(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (descriptor < 0) return cannot_open(path, errno);
  FileLock lock(descriptor);
  if (flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return cannot_open(path, errno);
    return fault("store_locked",
                 fmt::format("process {} has the store open ({}): stop it first, or name another "
                             "file in store.url",
                             owner_in(descriptor), path));
  }
  write_owner(descriptor);
  return lock;
}

FileLock::~FileLock() {
  if (descriptor_ >= 0) close(descriptor_);
}

Result<void> create_private_file(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (descriptor < 0) return cannot_open(path, errno);
  close(descriptor);
  return {};
}

Result<void> flush_directory_of(const std::string& path) {
  const std::string directory = folder_of(path);
  const int descriptor = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return cannot_open(directory, errno);
  const bool flushed = fsync(descriptor) == 0;
  const int error = errno;
  close(descriptor);
  if (flushed) return {};
  return fault("store_io_failed", fmt::format("{}: {}", directory, std::strerror(error)));
}

}  // namespace postern::store::sqlite
