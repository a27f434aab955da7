// One kind's copies of the API server's objects: list, watch, and what to do when either fails. Kube thread only, but
// for counts().
//
// A list is always a consistent one (no resourceVersion in the request), so a copy never goes back in time. A watch
// that was cut goes on where it was, after one object was listed to see that the server's resourceVersion did not go
// back. Where the server was away it is listed anew: it may have come back with another history.
#pragma once
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "kube/informer.h"
#include "kube/moment.h"
#include "kube/object.h"

namespace weir::kube {

class Watch {
 public:
  struct Sink {
    virtual ~Sink() = default;
    virtual void changed(const Watch&, const Name&) = 0;
    virtual void settled(const Watch&, bool first) = 0;  // a list ended, or will not come for a while
    virtual void away() = 0;                             // the server does not answer
    virtual void answered() = 0;                         // it does
  };
  struct Entry {
    std::string text;
    std::uint64_t revision = 0;
    std::uint32_t seen = 0;  // by the list of this number
    std::uint32_t put = 0;   // while the list of this number was on its way
  };

  Watch(Client& client, const Kind& kind, Informers::Options options, Sink& sink);

  const Kind kind;
  const Informers::Options options;

  void start() { list(); }
  void stop();            // then the sink is not told of anything any more
  void server_is_back();  // no use in waiting on
  void installed();       // the kind may be there now
  void put(Item);
  bool synced() const { return synced_; }
  const std::map<Name, Entry>& objects() const { return objects_; }
  std::uint64_t position() const { return position_; }
  WatchCounts counts() const;

 private:
  enum class Phase : std::uint8_t { busy, away, refused, missing };

  void list();
  void ask_page(const std::string& token);
  void on_page(Result<Answer>);
  void end_list(std::uint64_t revision);
  void probe();
  void on_probe(Result<Answer>);
  void watch();
  void on_line(std::string_view line);
  void on_error_event(const Event&);
  void on_end(Result<Answer>);

  void tell(const Name&);
  void apply(Item, bool listed);
  void remove(const Name&, std::uint64_t revision);
  void clear();

  void turned_away(const char* verb, const Answer&);
  void failed(const std::string& why, Phase, std::chrono::milliseconds at_least);
  void missing();
  void settle();
  void well();
  void set_fault(std::string, bool worth_a_warning);
  void retry(Phase, std::chrono::milliseconds);
  void resume();
  std::chrono::milliseconds backoff();
  std::string query() const;
  Client::Done guarded(void (Watch::*)(Result<Answer>));
  template <class Change>
  void count(Change change) {
    std::lock_guard lock(mutex_);
    change(counts_);
  }

  Client& client_;
  Sink& sink_;
  const std::shared_ptr<int> alive_ = std::make_shared<int>(0);
  std::uint64_t epoch_ = 0;  // answers and timers of an older one do not count

  std::map<Name, Entry> objects_;
  std::uint64_t position_ = 0;
  std::uint32_t list_number_ = 0;
  bool synced_ = false, must_list_ = true, stopped_ = false, warned_ = false;
  Phase phase_ = Phase::busy;

  std::unique_ptr<Client::Stream> stream_;
  Clock::time_point watching_since_;
  bool heard_ = false;    // an event on this stream
  bool expired_ = false;  // since then it was said once that what it was at is too old

  unsigned attempts_ = 0, misses_ = 0;
  Clock::time_point first_refusal_{};

  mutable std::mutex mutex_;
  WatchCounts counts_;
};

}  // namespace weir::kube
