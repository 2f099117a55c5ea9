// SQLite with destructors and exceptions; sqlite.cpp is the only file with sqlite3.h. Belongs to
// the journal; pipeline thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

namespace inotifier::sqlite {

/// `what` has the path, the call and the cause.
struct Error : std::runtime_error {
  Error(int result, int system_error, const std::string& what)
      : std::runtime_error(what), code(result), system(system_error) {}
  int code;    ///< extended result code
  int system;  ///< errno of the call that failed, if it was one of the operating system
  /// No room: the disk is full, or a quota or a limit of file sizes is reached. What failed can be
  /// done again later.
  bool is_full() const;
  bool is_out_of_memory() const;
  /// Another process writes, or will not let us.
  bool is_locked() const;
  /// What is in the file is no database, or no sound one.
  bool is_corrupt() const;
};

class Database {
 public:
  Database() = default;
  /// Makes it if it is not there. Throws Error.
  explicit Database(const std::string& path);
  ~Database();
  Database(Database&& other) noexcept;
  Database& operator=(Database&& other) noexcept;
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  explicit operator bool() const { return handle_ != nullptr; }
  /// One or several statements that give no rows.
  void run(const char* sql);
  /// The first column of the first row; 0 if there is none.
  std::int64_t number(const char* sql);
  /// Closing shall leave the files as they are, the WAL too.
  void leave_alone(bool on);
  /// True between BEGIN and COMMIT; a failed statement may have rolled back by itself.
  bool in_transaction() const;
  std::int64_t changes() const;
  std::int64_t last_row() const;
  const std::string& path() const { return path_; }
  sqlite3* handle() const { return handle_; }
  /// Throws the Error of the call that has just failed with `result`.
  [[noreturn]] void fail(int result, const char* call) const;

 private:
  sqlite3* handle_ = nullptr;
  std::string path_;
};

/// A prepared statement, used again and again. Text and blobs are bound without a copy: they must
/// live until the next reset(). Columns are valid until the next step().
class Statement {
 public:
  Statement() = default;
  Statement(Database& database, const char* sql);
  ~Statement();
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&& other) noexcept;
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  /// Parameters count from 1.
  Statement& bind(int parameter, std::int64_t value);
  Statement& bind(int parameter, std::uint64_t value) {
    return bind(parameter, static_cast<std::int64_t>(value));
  }
  Statement& bind(int parameter, std::uint32_t value) {
    return bind(parameter, static_cast<std::int64_t>(value));
  }
  Statement& bind(int parameter, int value) {
    return bind(parameter, static_cast<std::int64_t>(value));
  }
  Statement& bind_text(int parameter, std::string_view text);
  Statement& bind_blob(int parameter, std::string_view bytes);
  Statement& bind_null(int parameter);

  /// True: a row is there. At the end of the rows the statement resets itself.
  bool step();
  /// For what gives no rows.
  void run() {
    while (step()) {
    }
  }
  void reset();

  /// Columns count from 0.
  std::int64_t integer(int column) const;
  std::uint64_t position(int column) const { return static_cast<std::uint64_t>(integer(column)); }
  std::string_view bytes(int column) const;
  std::string text(int column) const { return std::string(bytes(column)); }
  bool is_null(int column) const;

 private:
  Database* database_ = nullptr;
  sqlite3_stmt* handle_ = nullptr;
};

/// While it lives, a commit returns when it is on the disk.
class Synchronous {
 public:
  Synchronous(Database& database, bool wanted);
  ~Synchronous();
  Synchronous(const Synchronous&) = delete;
  Synchronous& operator=(const Synchronous&) = delete;

 private:
  Database* database_;
};

/// Rolls back unless commit() was called.
class Transaction {
 public:
  explicit Transaction(Database& database);
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  void commit();

 private:
  Database& database_;
  bool done_ = false;
};

}  // namespace inotifier::sqlite
