#include "journal/age_marks.hpp"

#include <limits>

namespace inotifier {
namespace {

// Of a mark that tells no age.
constexpr Nanos kNever = std::numeric_limits<Nanos>::max();

}  // namespace

AgeMarks::AgeMarks(sqlite::Database* database) : database_(database) {
  if (database_ == nullptr) return;
  put_ = sqlite::Statement(*database_,
                           "INSERT INTO marks(position, ran, set_back) VALUES(?1, ?2, ?3) "
                           "ON CONFLICT(position) DO UPDATE SET ran=min(ran, ?2), "
                           "set_back=max(set_back, ?3)");
  sqlite::Statement last(
      *database_, "SELECT position, ran FROM marks WHERE ran<? ORDER BY position DESC LIMIT 1");
  last.bind(1, kNever);
  if (!last.step()) return;
  last_position_ = last.position(0);
  last_ran_ = last.integer(1);
}

void AgeMarks::add(std::uint64_t position, Nanos ran) {
  put_.bind(1, position).bind(2, ran).bind(3, 0).run();
  last_position_ = position;
  last_ran_ = ran;
}

void AgeMarks::add_set_back(std::uint64_t position) {
  put_.bind(1, position).bind(2, kNever).bind(3, 1).run();
}

void AgeMarks::forget(std::uint64_t position) {
  sqlite::Statement(*database_, "DELETE FROM marks WHERE position<=?").bind(1, position).run();
}

std::uint64_t AgeMarks::there_at(Nanos ran) {
  sqlite::Statement read(*database_, "SELECT max(position) FROM marks WHERE ran<=?");
  read.bind(1, ran);
  return read.step() ? read.position(0) : 0;
}

std::vector<std::uint64_t> AgeMarks::set_backs() {
  std::vector<std::uint64_t> positions;
  sqlite::Statement read(*database_,
                         "SELECT position FROM marks WHERE set_back=1 ORDER BY position");
  while (read.step()) positions.push_back(read.position(0));
  return positions;
}

}  // namespace inotifier
