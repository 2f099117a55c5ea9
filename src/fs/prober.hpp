// Asks the disk what may keep whoever asks waiting: an open(2) that an on-access scanner holds, a
// volume that does not answer. Questions come in batches; a prober thread asks them one after the
// other, and a question without an answer holds up itself alone: another thread goes on with the
// rest of its batch. Owned by the runner; start() and the answers: pipeline thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "inotifier/time.hpp"

namespace inotifier {

class Prober {
 public:
  /// Questions to one volume. Shared by who started it and the threads that ask, so it owns all
  /// that the asking needs.
  class Batch {
   public:
    /// `volume` tells apart what does not answer together.
    Batch(std::string volume, std::size_t count);
    virtual ~Batch();
    Batch(const Batch&) = delete;
    Batch& operator=(const Batch&) = delete;

    std::size_t count() const { return count_; }
    /// The answer can be read, and does not change any more.
    bool has_answer(std::size_t item) const;
    /// Monotonic time when it began to be asked; 0 = not yet.
    Nanos asked_since(std::size_t item) const;
    bool finished() const { return answered_.load() == count_; }

   protected:
    /// Prober thread; once for each item.
    virtual void ask(std::size_t item) = 0;

   private:
    friend class Prober;
    struct Item {
      std::atomic<Nanos> since = 0;
      std::atomic<bool> answered = false;
    };
    bool all_begun() const { return next_.load() >= count_; }
    bool is_held_up() const;
    bool work();

    const std::string volume_;
    const std::size_t count_;
    const std::unique_ptr<Item[]> items_;
    std::atomic<std::size_t> next_ = 0;
    std::atomic<std::size_t> answered_ = 0;
    std::atomic<Nanos> last_begun_ = 0;
    bool left_ = false;     ///< nobody waits for it any more; under the prober's mutex
    bool counted_ = false;  ///< among its volume's unanswered ones; under the prober's mutex
  };

  /// Throws SetupError.
  Prober();
  /// Threads that hang are left behind: they must not keep the process from ending.
  ~Prober();
  Prober(const Prober&) = delete;
  Prober& operator=(const Prober&) = delete;

  /// Returns when all is answered, or after a few milliseconds; at once if the volume has a
  /// question open already. Then answers come later, and fd() is readable.
  void start(const std::shared_ptr<Batch>& batch);
  /// The same by the caller's thread, however long it takes.
  static void ask_here(Batch& batch) { batch.work(); }
  int fd() const;
  /// Makes fd() unreadable; then look for new answers.
  void acknowledge();

 private:
  struct Shared;
  static void run(const std::shared_ptr<Shared>& shared);
  static void add_thread(const std::shared_ptr<Shared>& shared);
  static void watch_over(const std::shared_ptr<Shared>& shared);
  std::shared_ptr<Shared> shared_;
};

}  // namespace inotifier
