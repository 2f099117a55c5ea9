#include "journal/sqlite.hpp"

#include <sqlite3.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace inotifier::sqlite {
namespace {

/// Bindings of an empty view must not become NULL.
const char* data_of(std::string_view bytes) { return bytes.data() == nullptr ? "" : bytes.data(); }

/// Of a write, or of opening a file, that failed; else 0. sqlite3_system_errno() does not know that
/// of a COMMIT; the files do.
int errno_of(sqlite3* handle, int result) {
  if ((result & 0xff) == SQLITE_CANTOPEN) return sqlite3_system_errno(handle);
  if (result != SQLITE_IOERR_WRITE && result != SQLITE_IOERR_FSYNC &&
      result != SQLITE_IOERR_TRUNCATE) {
    return 0;
  }
  for (const int which : {SQLITE_FCNTL_JOURNAL_POINTER, SQLITE_FCNTL_FILE_POINTER}) {
    sqlite3_file* file = nullptr;
    int error = 0;
    sqlite3_file_control(handle, "main", which, &file);
    if (file == nullptr || file->pMethods == nullptr) continue;
    file->pMethods->xFileControl(file, SQLITE_FCNTL_LAST_ERRNO, &error);
    if (error != 0) return error;
  }
  return sqlite3_system_errno(handle);
}

}  // namespace

// SQLite tells ENOSPC while it writes by a code of its own, all else by errno.
bool Error::is_full() const {
  if (system == ENOSPC || system == EDQUOT || system == EFBIG) return true;
  switch (code) {
    case SQLITE_FULL:
    // The same for memory: it may be there the next time.
    case SQLITE_NOMEM:
    case SQLITE_IOERR_NOMEM:
    // The shared memory of the WAL could not grow.
    case SQLITE_IOERR_SHMSIZE:
    case SQLITE_IOERR_SHMOPEN:
    case SQLITE_IOERR_SHMMAP:
      return true;
    default:
      return false;
  }
}

bool Error::is_out_of_memory() const { return code == SQLITE_NOMEM || code == SQLITE_IOERR_NOMEM; }

bool Error::is_locked() const {
  const int primary = code & 0xff;
  return primary == SQLITE_BUSY || primary == SQLITE_LOCKED;
}

bool Error::is_corrupt() const {
  const int primary = code & 0xff;
  return primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB;
}

Database::Database(const std::string& path) : path_(path) {
  // One thread, one connection: no mutex of SQLite's own is needed.
  const int result = sqlite3_open_v2(
      path.c_str(), &handle_,
      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
      nullptr);
  if (result != SQLITE_OK) {
    const int system = handle_ == nullptr ? 0 : sqlite3_system_errno(handle_);
    const std::string what = path + ": sqlite3_open: " +
                             (handle_ == nullptr ? "out of memory" : sqlite3_errmsg(handle_));
    sqlite3_close(std::exchange(handle_, nullptr));
    throw Error(result, system, what);
  }
}

// v2: statements that outlive it do not keep the WAL from being put into the database.
Database::~Database() { sqlite3_close_v2(handle_); }

Database::Database(Database&& other) noexcept
    : handle_(std::exchange(other.handle_, nullptr)), path_(std::move(other.path_)) {}

Database& Database::operator=(Database&& other) noexcept {
  if (this != &other) {
    sqlite3_close_v2(handle_);
    handle_ = std::exchange(other.handle_, nullptr);
    path_ = std::move(other.path_);
  }
  return *this;
}

void Database::fail(int result, const char* call) const {
  const int system = errno_of(handle_, result);
  std::string what = path_ + ": " + call + ": " + sqlite3_errmsg(handle_);
  if (system != 0) what += std::string(": ") + ::strerrordesc_np(system);
  throw Error(result, system, what);
}

void Database::run(const char* sql) {
  const int result = sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr);
  if (result != SQLITE_OK) fail(result, sql);
}

std::int64_t Database::number(const char* sql) {
  Statement statement(*this, sql);
  return statement.step() ? statement.integer(0) : 0;
}

void Database::leave_alone(bool on) {
  sqlite3_db_config(handle_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, on ? 1 : 0, nullptr);
}

bool Database::in_transaction() const { return sqlite3_get_autocommit(handle_) == 0; }
std::int64_t Database::changes() const { return sqlite3_changes64(handle_); }
std::int64_t Database::last_row() const { return sqlite3_last_insert_rowid(handle_); }

Statement::Statement(Database& database, const char* sql) : database_(&database) {
  const int result =
      sqlite3_prepare_v3(database.handle(), sql, -1, SQLITE_PREPARE_PERSISTENT, &handle_, nullptr);
  if (result != SQLITE_OK) database.fail(result, sql);
}

Statement::~Statement() { sqlite3_finalize(handle_); }

Statement::Statement(Statement&& other) noexcept
    : database_(other.database_), handle_(std::exchange(other.handle_, nullptr)) {}

Statement& Statement::operator=(Statement&& other) noexcept {
  if (this != &other) {
    sqlite3_finalize(handle_);
    database_ = other.database_;
    handle_ = std::exchange(other.handle_, nullptr);
  }
  return *this;
}

Statement& Statement::bind(int parameter, std::int64_t value) {
  sqlite3_bind_int64(handle_, parameter, value);
  return *this;
}

Statement& Statement::bind_text(int parameter, std::string_view text) {
  sqlite3_bind_text64(handle_, parameter, data_of(text), text.size(), SQLITE_STATIC, SQLITE_UTF8);
  return *this;
}

Statement& Statement::bind_blob(int parameter, std::string_view bytes) {
  sqlite3_bind_blob64(handle_, parameter, data_of(bytes), bytes.size(), SQLITE_STATIC);
  return *this;
}

Statement& Statement::bind_null(int parameter) {
  sqlite3_bind_null(handle_, parameter);
  return *this;
}

bool Statement::step() {
  const int result = sqlite3_step(handle_);
  if (result == SQLITE_ROW) return true;
  if (result == SQLITE_DONE) {
    sqlite3_reset(handle_);
    return false;
  }
  try {
    database_->fail(result, sqlite3_sql(handle_));
  } catch (...) {
    sqlite3_reset(handle_);
    throw;
  }
}

void Statement::reset() { sqlite3_reset(handle_); }

std::int64_t Statement::integer(int column) const { return sqlite3_column_int64(handle_, column); }

std::string_view Statement::bytes(int column) const {
  const auto* data = static_cast<const char*>(sqlite3_column_blob(handle_, column));
  const int size = sqlite3_column_bytes(handle_, column);
  return data == nullptr ? std::string_view()
                         : std::string_view(data, static_cast<std::size_t>(size));
}

bool Statement::is_null(int column) const {
  return sqlite3_column_type(handle_, column) == SQLITE_NULL;
}

Synchronous::Synchronous(Database& database, bool wanted)
    : database_(wanted ? &database : nullptr) {
  if (database_ == nullptr) return;
  constexpr std::int64_t kFull = 2;
  if (database_->number("PRAGMA synchronous") >= kFull) {
    database_ = nullptr;  // so does every commit
  } else {
    database_->run("PRAGMA synchronous = FULL");
  }
}

Synchronous::~Synchronous() {
  if (database_ == nullptr) return;
  try {
    database_->run("PRAGMA synchronous = NORMAL");
  } catch (const Error&) {  // NOLINT(bugprone-empty-catch): slower, but no less safe
  }
}

Transaction::Transaction(Database& database) : database_(database) {
  database_.run("BEGIN IMMEDIATE");
}

Transaction::~Transaction() {
  if (done_ || !database_.in_transaction()) return;
  try {
    database_.run("ROLLBACK");
  } catch (const Error&) {  // NOLINT(bugprone-empty-catch): nothing was begun any more
  }
}

void Transaction::commit() {
  database_.run("COMMIT");
  done_ = true;
}

}  // namespace inotifier::sqlite
