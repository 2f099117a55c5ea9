// What the pipeline asks of the source of a watch, be it inotify (Watcher) or a poller
// (RemoteWatch), and what a source tells. Pipeline thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "inotifier/processor.hpp"
#include "source/decode.hpp"
#include "source/degraded.hpp"
#include "state/watch_table.hpp"

namespace inotifier {

class EventSource : public Files {
 public:
  class Sink {
   public:
    virtual ~Sink() = default;
    virtual void on_raw(const RawEvent& event) = 0;
    /// Every record as it came, before anything else is made of it.
    virtual void on_record(const Record& record, std::string_view path) = 0;
    /// watch.ready, watch.lost, watch.restored: `type` without the "watch.".
    virtual void on_status(std::string_view type, Value::Map data) = 0;
    /// watch.degraded; called once for each reason and path.
    virtual void on_degraded(const Degraded& what) = 0;
    /// A scan of the whole watch came to its end (the first one too).
    virtual void on_scanned(Origin origin, std::string_view reason, Nanos duration) = 0;
  };

  /// A call that the disk has not answered yet.
  struct Unanswered {
    std::string path;  ///< relative to the root; "" = the root
    std::string_view call;
    Nanos since = 0;  ///< monotonic
  };

  /// The way out for a source and its parts.
  class Output {
   public:
    explicit Output(Sink& sink) : sink_(sink) {}
    Sink& sink() { return sink_; }
    void degraded(const Degraded& what) {
      if (degraded_.add(what)) sink_.on_degraded(what);
    }
    const DegradedLog& degraded() const { return degraded_; }

   private:
    Sink& sink_;
    DegradedLog degraded_;
  };

  explicit EventSource(Sink& sink) : out_(sink) {}
  virtual void start(const Now& now) = 0;
  virtual void begin_turn(const Now& now) = 0;
  virtual void on_time() = 0;
  /// One slice of listing work. True if there is more.
  virtual bool slice(int units) = 0;
  /// How many files scans may tell of in this turn; what is new is looked into all the same.
  virtual void set_room(std::size_t files) = 0;
  virtual WatchTable& directories() = 0;
  virtual void end_turn() = 0;
  virtual std::optional<Nanos> deadline() const = 0;
  virtual void rescan(std::string_view reason, Origin origin, bool absence_counts = true) = 0;
  /// Every directory is watched, or the poller has seen all.
  virtual bool is_ready() const = 0;
  virtual bool is_lost() const = 0;
  virtual std::vector<Unanswered> unanswered() const { return {}; }
  Output& output() { return out_; }

 protected:
  Output out_;
};

}  // namespace inotifier
