// Which clients may connect to tcp endpoints, and what they may do: a directory with one public key
// file for each, NAME.key. Looked at anew whenever somebody asks, so that a file added or removed
// holds from the next connection on. Owned by Security; used by its thread alone.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace inotifier {

/// `read`: subscribe and read. `all`: also what changes something, such as making a consumer.
enum class Access : std::uint8_t { kRead, kAll };

struct Client {
  std::string name;  ///< of the file, without ".key"
  Access access = Access::kRead;
};

class AllowList {
 public:
  /// Throws SetupError if the directory cannot be read, or if everybody could add files to it.
  explicit AllowList(std::string directory);

  /// Who has this public key (Z85). A file that cannot be read refuses its client only.
  std::optional<Client> find(const std::string& public_key);

  /// How many clients there are, and what is wrong with other files.
  std::size_t size() const { return clients_.size(); }
  std::size_t size_all() const;  ///< with access to all
  std::vector<std::string> problems() const;
  /// Those that were not told by this before.
  std::vector<std::string> new_problems();

 private:
  struct File {
    struct timespec changed {};
    ino_t inode = 0;
    off_t size = 0;
    bool may_change_unseen = false;  ///< it was read within the tick of the clock it was written in
    std::string public_key;          ///< "" if the file is bad
    Access access = Access::kRead;
    std::string problem;
  };

  void refresh();
  void read(const std::string& name, File& file);
  void rebuild();

  std::string directory_;
  std::map<std::string, File> files_;      // by name
  std::map<std::string, Client> clients_;  // by public key
  std::string failure_;                    // why the directory cannot be read just now
  std::set<std::string> told_;             // the problems that were
};

}  // namespace inotifier
