// SQLite reaches its files through a table of functions, a VFS. This one keeps them in memory: each
// file as the process sees it, as it is on the disk for certain, and the changes in between.
//
// It answers like SQLite's own on Linux: sectors of 4096 bytes with powersafe overwrite, a folder
// flushed with the first flush of a new journal or log, and with a removal that asks for it. The
// shared memory of the log's index and all locks are kept in the process.
#include "tests/store/crash_vfs.h"

#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <new>
#include <set>

namespace postern::store {
namespace {

constexpr std::size_t kSector = 512;

struct Change {
  std::size_t offset;  // of a write; the new size of a truncation
  std::string bytes;
  bool truncates;
};

struct Handle;

struct Inode {
  std::string seen;     // by the process
  std::string durable;  // on the disk for certain
  std::vector<Change> pending;
  bool folder_flushed = false;  // by this file's first flush

  // Locks: who holds a shared one, a reserved or pending one, the exclusive one.
  std::set<const Handle*> shared;
  const Handle* reserved = nullptr;
  const Handle* exclusive = nullptr;

  std::vector<std::unique_ptr<std::array<char, 32768>>> shm;
  std::array<std::set<const Handle*>, SQLITE_SHM_NLOCK> shm_shared;
  std::array<const Handle*, SQLITE_SHM_NLOCK> shm_exclusive{};
};

using Names = std::map<std::string, std::shared_ptr<Inode>>;

void apply(std::string& content, std::size_t offset, std::string_view bytes) {
  if (content.size() < offset + bytes.size()) content.resize(offset + bytes.size());
  content.replace(offset, bytes.size(), bytes);
}

}  // namespace

struct CrashDisk::State {
  mutable std::recursive_mutex mutex;
  std::string name;
  sqlite3_vfs vfs{};
  Names names;
  Names durable_names;
  std::size_t open_files = 0;
  std::uint64_t changes = 0;
  std::uint64_t cut_at = 0;  // 0: never
  bool off = false;
  std::mt19937_64 randomness{1};

  std::optional<Operation> failing;
  std::string failing_suffix;
  std::uint64_t fails_in = 0;
  int fails_with = 0;
  Lasting lasting = Lasting::kOnce;
  bool has_failed = false;

  /// Counts a change. False: the power fails during it, or has failed.
  [[nodiscard]] bool survives_change() {
    if (off) return false;
    if (++changes == cut_at) off = true;
    return !off;
  }

  [[nodiscard]] std::optional<int> failure_of(Operation operation, std::string_view file) {
    if (failing != operation || !file.ends_with(failing_suffix)) return std::nullopt;
    if (fails_in > 1) {
      --fails_in;
      return std::nullopt;
    }
    has_failed = true;
    if (lasting == Lasting::kOnce) failing.reset();
    return fails_with;
  }
};

namespace {

struct Handle {
  sqlite3_file base{};
  CrashDisk::State* disk = nullptr;
  std::string name;
  std::shared_ptr<Inode> inode;
  bool flushes_folder = false;
  bool deletes_on_close = false;
};

// SQLite gives the file's memory; the object is made in it at opening.
[[nodiscard]] Handle& handle_of(sqlite3_file* file) {
  return *reinterpret_cast<Handle*>(file);
}

using Lock = std::lock_guard<std::recursive_mutex>;

int close_file(sqlite3_file* file) {
  Handle& handle = handle_of(file);
  const Lock lock(handle.disk->mutex);
  --handle.disk->open_files;
  if (handle.deletes_on_close) handle.disk->names.erase(handle.name);
  handle.inode->shared.erase(&handle);
  if (handle.inode->reserved == &handle) handle.inode->reserved = nullptr;
  if (handle.inode->exclusive == &handle) handle.inode->exclusive = nullptr;
  handle.inode.reset();
  handle.name.~basic_string();
  handle.inode.~shared_ptr();
  return SQLITE_OK;
}

int read_file(sqlite3_file* file, void* to, int size, sqlite3_int64 offset) {
  Handle& handle = handle_of(file);
  const Lock lock(handle.disk->mutex);
  if (handle.disk->off) return SQLITE_IOERR_READ;
  if (const auto code = handle.disk->failure_of(CrashDisk::Operation::kRead, handle.name)) {
    return *code;
  }
  const std::string& seen = handle.inode->seen;
  const auto wanted = static_cast<std::size_t>(size);
  const std::size_t begin = std::min(static_cast<std::size_t>(offset), seen.size());
  const std::size_t have = std::min(wanted, seen.size() - begin);
  std::memcpy(to, seen.data() + begin, have);
  if (have == wanted) return SQLITE_OK;
  std::memset(static_cast<char*>(to) + have, 0, wanted - have);
  return SQLITE_IOERR_SHORT_READ;
}

int write_file(sqlite3_file* file, const void* from, int size, sqlite3_int64 offset) {
  Handle& handle = handle_of(file);
  const Lock lock(handle.disk->mutex);
  if (const auto code = handle.disk->failure_of(CrashDisk::Operation::kWrite, handle.name)) {
    return *code;
  }
  if (handle.disk->off) return SQLITE_IOERR_WRITE;
  const bool on = handle.disk->survives_change();
  // The write during which the power fails may still reach the disk in part.
  const auto at = static_cast<std::size_t>(offset);
  const std::string_view bytes(static_cast<const char*>(from), static_cast<std::size_t>(size));
  apply(handle.inode->seen, at, bytes);
  handle.inode->pending.push_back({.offset = at, .bytes = std::string(bytes), .truncates = false});
  return on ? SQLITE_OK : SQLITE_IOERR_WRITE;
}

int truncate_file(sqlite3_file* file, sqlite3_int64 size) {
  Handle& handle = handle_of(file);
  const Lock lock(handle.disk->mutex);
  if (handle.disk->off) return SQLITE_IOERR_TRUNCATE;
  const bool on = handle.disk->survives_change();
  const auto at = static_cast<std::size_t>(size);
  handle.inode->seen.resize(at);
  handle.inode->pending.push_back({.offset = at, .bytes = {}, .truncates = true});
  return on ? SQLITE_OK : SQLITE_IOERR_TRUNCATE;
}

int flush_file(sqlite3_file* file, int /*flags*/) {
  Handle& handle = handle_of(file);
  const Lock lock(handle.disk->mutex);
  if (const auto code = handle.disk->failure_of(CrashDisk::Operation::kFlush, handle.name)) {
    handle.inode->pending.clear();
    return *code;
  }
  if (!handle.disk->survives_change()) return SQLITE_IOERR_FSYNC;
  for (const Change& change : handle.inode->pending) {
    if (change.truncates) {
      handle.inode->durable.resize(change.offset);
    } else {
      apply(handle.inode->durable, change.offset, change.bytes);
    }
  }
  handle.inode->pending.clear();
  if (handle.flushes_folder && !handle.inode->folder_flushed) {
    handle.inode->folder_flushed = true;
    handle.disk->durable_names = handle.disk->names;
  }
  return SQLITE_OK;
}

int file_size(sqlite3_file* file, sqlite3_int64* size) {
  Handle& handle = handle_of(file);
  const Lock lock(handle.disk->mutex);
  *size = static_cast<sqlite3_int64>(handle.inode->seen.size());
  return handle.disk->off ? SQLITE_IOERR_FSTAT : SQLITE_OK;
}

int lock_file(sqlite3_file* file, int level) {
  Handle& handle = handle_of(file);
  const Lock lock(handle.disk->mutex);
  if (handle.disk->off) return SQLITE_IOERR_LOCK;
  Inode& inode = *handle.inode;
  const auto taken = [&](const Handle* owner) { return owner != nullptr && owner != &handle; };
  if (taken(inode.exclusive)) return SQLITE_BUSY;
  if (level == SQLITE_LOCK_SHARED) inode.shared.insert(&handle);
  if (level >= SQLITE_LOCK_RESERVED) {
    if (taken(inode.reserved)) return SQLITE_BUSY;
    inode.reserved = &handle;
  }
  if (level == SQLITE_LOCK_EXCLUSIVE) {
    if (inode.shared.size() > 1) return SQLITE_BUSY;
    inode.exclusive = &handle;
  }
  return SQLITE_OK;
}

int unlock_file(sqlite3_file* file, int level) {
  Handle& handle = handle_of(file);
  const Lock lock(handle.disk->mutex);
  Inode& inode = *handle.inode;
  if (inode.exclusive == &handle) inode.exclusive = nullptr;
  if (inode.reserved == &handle) inode.reserved = nullptr;
  if (level == SQLITE_LOCK_NONE) inode.shared.erase(&handle);
  return SQLITE_OK;
}

int check_reserved(sqlite3_file* file, int* reserved) {
  Handle& handle = handle_of(file);
  const Lock lock(handle.disk->mutex);
  *reserved = handle.inode->reserved != nullptr || handle.inode->exclusive != nullptr ? 1 : 0;
  return handle.disk->off ? SQLITE_IOERR_CHECKRESERVEDLOCK : SQLITE_OK;
}

int control_file(sqlite3_file* /*file*/, int /*operation*/, void* /*argument*/) {
  return SQLITE_NOTFOUND;
}

int sector_size(sqlite3_file* /*file*/) {
  return 4096;
}

int characteristics(sqlite3_file* /*file*/) {
  return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

int map_shm(sqlite3_file* file, int region, int size, int extend, void volatile** at) {
  Handle& handle = handle_of(file);
  const Lock lock(handle.disk->mutex);
  *at = nullptr;
  if (handle.disk->off) return SQLITE_IOERR_SHMMAP;
  if (size != 32768) return SQLITE_IOERR_SHMMAP;
  auto& regions = handle.inode->shm;
  const auto index = static_cast<std::size_t>(region);
  if (index >= regions.size() && extend == 0) return SQLITE_OK;
  while (regions.size() <= index) {
    regions.push_back(std::make_unique<std::array<char, 32768>>());
    regions.back()->fill(0);
  }
  *at = regions[index]->data();
  return SQLITE_OK;
}

int lock_shm(sqlite3_file* file, int first, int count, int flags) {
  Handle& handle = handle_of(file);
  const Lock lock(handle.disk->mutex);
  Inode& inode = *handle.inode;
  for (int pass = 0; pass < 2; ++pass) {  // First look at all, then change all.
    for (int i = first; i < first + count; ++i) {
      auto& shared = inode.shm_shared[static_cast<std::size_t>(i)];
      auto& exclusive = inode.shm_exclusive[static_cast<std::size_t>(i)];
      if ((flags & SQLITE_SHM_UNLOCK) != 0) {
        shared.erase(&handle);
        if (exclusive == &handle) exclusive = nullptr;
        continue;
      }
      const bool others = shared.size() > shared.count(&handle);
      if (exclusive != nullptr && exclusive != &handle) return SQLITE_BUSY;
      if ((flags & SQLITE_SHM_EXCLUSIVE) != 0 && others) return SQLITE_BUSY;
      if (pass == 0) continue;
      if ((flags & SQLITE_SHM_EXCLUSIVE) != 0) {
        exclusive = &handle;
      } else {
        shared.insert(&handle);
      }
    }
  }
  return SQLITE_OK;
}

void shm_barrier(sqlite3_file* file) {
  const Lock lock(handle_of(file).disk->mutex);
}

int unmap_shm(sqlite3_file* file, int remove) {
  Handle& handle = handle_of(file);
  const Lock lock(handle.disk->mutex);
  for (std::size_t i = 0; i < SQLITE_SHM_NLOCK; ++i) {
    handle.inode->shm_shared[i].erase(&handle);
    if (handle.inode->shm_exclusive[i] == &handle) handle.inode->shm_exclusive[i] = nullptr;
  }
  if (remove != 0) handle.inode->shm.clear();
  return SQLITE_OK;
}

const sqlite3_io_methods kMethods = {
    .iVersion = 2,
    .xClose = close_file,
    .xRead = read_file,
    .xWrite = write_file,
    .xTruncate = truncate_file,
    .xSync = flush_file,
    .xFileSize = file_size,
    .xLock = lock_file,
    .xUnlock = unlock_file,
    .xCheckReservedLock = check_reserved,
    .xFileControl = control_file,
    .xSectorSize = sector_size,
    .xDeviceCharacteristics = characteristics,
    .xShmMap = map_shm,
    .xShmLock = lock_shm,
    .xShmBarrier = shm_barrier,
    .xShmUnmap = unmap_shm,
    .xFetch = nullptr,
    .xUnfetch = nullptr,
};

[[nodiscard]] CrashDisk::State& disk_of(sqlite3_vfs* vfs) {
  return *static_cast<CrashDisk::State*>(vfs->pAppData);
}

int open_file(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* opened) {
  file->pMethods = nullptr;
  CrashDisk::State& disk = disk_of(vfs);
  const Lock lock(disk.mutex);
  if (disk.off || name == nullptr) return SQLITE_CANTOPEN;
  const auto found = disk.names.find(name);
  std::shared_ptr<Inode> inode = found == disk.names.end() ? nullptr : found->second;
  if (inode == nullptr) {
    if ((flags & SQLITE_OPEN_CREATE) == 0 || !disk.survives_change()) return SQLITE_CANTOPEN;
    inode = std::make_shared<Inode>();
    disk.names[name] = inode;
  }
  Handle* handle = new (file) Handle;
  handle->disk = &disk;
  handle->name = name;
  handle->inode = std::move(inode);
  handle->flushes_folder = (flags & (SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_WAL)) != 0;
  handle->deletes_on_close = (flags & SQLITE_OPEN_DELETEONCLOSE) != 0;
  handle->base.pMethods = &kMethods;
  ++disk.open_files;
  if (opened != nullptr) *opened = flags;
  return SQLITE_OK;
}

int delete_name(sqlite3_vfs* vfs, const char* name, int flush_folder) {
  CrashDisk::State& disk = disk_of(vfs);
  const Lock lock(disk.mutex);
  if (!disk.names.contains(name)) return SQLITE_IOERR_DELETE_NOENT;
  if (disk.off) return SQLITE_IOERR_DELETE;
  const bool on = disk.survives_change();
  disk.names.erase(name);
  if (!on) return SQLITE_IOERR_DELETE;
  if (flush_folder == 0) return SQLITE_OK;
  if (!disk.survives_change()) return SQLITE_IOERR_DIR_FSYNC;
  disk.durable_names = disk.names;
  return SQLITE_OK;
}

int access_name(sqlite3_vfs* vfs, const char* name, int /*flags*/, int* result) {
  CrashDisk::State& disk = disk_of(vfs);
  const Lock lock(disk.mutex);
  const auto found = disk.names.find(name);
  *result = found != disk.names.end() ? 1 : 0;
  return disk.off ? SQLITE_IOERR_ACCESS : SQLITE_OK;
}

int full_name(sqlite3_vfs* /*vfs*/, const char* name, int size, char* full) {
  sqlite3_snprintf(size, full, "%s", name);
  return SQLITE_OK;
}

int fill_random(sqlite3_vfs* vfs, int size, char* out) {
  CrashDisk::State& disk = disk_of(vfs);
  const Lock lock(disk.mutex);
  for (int i = 0; i < size; ++i) out[i] = static_cast<char>(disk.randomness());
  return size;
}

int sleep_not(sqlite3_vfs* /*vfs*/, int microseconds) {
  return microseconds;
}

int current_time(sqlite3_vfs* /*vfs*/, sqlite3_int64* milliseconds) {
  *milliseconds = 212'000'000'000'000;
  return SQLITE_OK;
}

int last_error(sqlite3_vfs* /*vfs*/, int /*size*/, char* /*text*/) {
  return 0;
}

/// What the disk holds of a file after a cut.
class Survivor {
 public:
  explicit Survivor(std::mt19937_64& random) : random_(random) {
    // All of it, nothing of it, or anything between: each finds other mistakes.
    constexpr std::array kChances = {0.0, 1.0, 0.5};
    const std::uint64_t kind = random_() % 4;
    chance_ = kind < 3 ? kChances[kind] : static_cast<double>(random_() % 1000) / 1000;
    filler_ = random_() % 2 == 0 ? '\0' : static_cast<char>(random_());
  }

  [[nodiscard]] bool survives() {
    return static_cast<double>(random_() % 1'000'000) < chance_ * 1'000'000;
  }

  [[nodiscard]] std::string content_of(const Inode& inode) {
    std::string content = inode.durable;
    for (const Change& change : inode.pending) {
      if (change.truncates) {
        if (survives()) resize(content, change.offset);
        continue;
      }
      // A larger size may survive without the bytes that made it larger.
      const std::size_t end = change.offset + change.bytes.size();
      if (end > content.size() && survives()) resize(content, end);
      for (std::size_t at = change.offset; at < end;) {
        const std::size_t next = std::min(end, (at / kSector + 1) * kSector);
        if (survives()) {
          if (next > content.size()) resize(content, next);
          content.replace(at, next - at, change.bytes, at - change.offset, next - at);
        }
        at = next;
      }
    }
    return content;
  }

 private:
  void resize(std::string& content, std::size_t size) { content.resize(size, filler_); }

  std::mt19937_64& random_;
  double chance_ = 0;
  char filler_ = '\0';
};

}  // namespace

CrashDisk::CrashDisk() : state_(std::make_unique<State>()) {
  static std::uint64_t made = 0;
  state_->name = "postern_crash_disk_" + std::to_string(++made);
  sqlite3_vfs& vfs = state_->vfs;
  vfs.iVersion = 2;
  vfs.szOsFile = sizeof(Handle);
  vfs.mxPathname = 256;
  vfs.zName = state_->name.c_str();
  vfs.pAppData = state_.get();
  vfs.xOpen = open_file;
  vfs.xDelete = delete_name;
  vfs.xAccess = access_name;
  vfs.xFullPathname = full_name;
  vfs.xRandomness = fill_random;
  vfs.xSleep = sleep_not;
  vfs.xCurrentTimeInt64 = current_time;
  vfs.xGetLastError = last_error;
  sqlite3_vfs_register(&vfs, 0);
}

CrashDisk::~CrashDisk() {
  sqlite3_vfs_unregister(&state_->vfs);
}

const std::string& CrashDisk::vfs() const {
  return state_->name;
}

void CrashDisk::cut_after(std::uint64_t changes) {
  const Lock lock(state_->mutex);
  state_->cut_at = state_->changes + changes;
}

bool CrashDisk::is_off() const {
  const Lock lock(state_->mutex);
  return state_->off;
}

void CrashDisk::cut_now() {
  const Lock lock(state_->mutex);
  state_->off = true;
}

void CrashDisk::power_on(std::mt19937_64& random) {
  const Lock lock(state_->mutex);
  if (state_->open_files != 0) std::abort();
  Survivor survivor(random);
  std::set<std::string> all;
  for (const auto& [name, inode] : state_->names) all.insert(name);
  for (const auto& [name, inode] : state_->durable_names) all.insert(name);
  Names survived;
  for (const std::string& name : all) {
    const auto now = state_->names.find(name);
    const auto before = state_->durable_names.find(name);
    const bool settled = now != state_->names.end() && before != state_->durable_names.end() &&
                         now->second == before->second;
    const Names& from = settled || survivor.survives() ? state_->names : state_->durable_names;
    const auto found = from.find(name);
    if (found == from.end()) continue;
    auto inode = std::make_shared<Inode>();
    inode->durable = survivor.content_of(*found->second);
    inode->seen = inode->durable;
    survived[name] = std::move(inode);
  }
  state_->names = survived;
  state_->durable_names = survived;
  state_->off = false;
  state_->cut_at = 0;
}

std::uint64_t CrashDisk::changes() const {
  const Lock lock(state_->mutex);
  return state_->changes;
}

void CrashDisk::fail(Operation operation, std::string_view suffix, std::uint64_t nth,
                     int sqlite_code, Lasting lasting) {
  const Lock lock(state_->mutex);
  state_->failing = operation;
  state_->failing_suffix = suffix;
  state_->fails_in = nth;
  state_->fails_with = sqlite_code;
  state_->lasting = lasting;
  state_->has_failed = false;
}

void CrashDisk::heal() {
  const Lock lock(state_->mutex);
  state_->failing.reset();
}

bool CrashDisk::has_failed() const {
  const Lock lock(state_->mutex);
  return state_->has_failed;
}

CrashDisk::Image CrashDisk::image() const {
  const Lock lock(state_->mutex);
  Image image;
  for (const auto& [name, inode] : state_->names) image.files[name] = inode->seen;
  return image;
}

void CrashDisk::restore(const Image& image) {
  const Lock lock(state_->mutex);
  if (state_->open_files != 0) std::abort();
  state_->names.clear();
  for (const auto& [name, content] : image.files) {
    auto inode = std::make_shared<Inode>();
    inode->seen = content;
    inode->durable = content;
    state_->names[name] = std::move(inode);
  }
  state_->durable_names = state_->names;
  state_->off = false;
  state_->cut_at = 0;
}

}  // namespace postern::store
