// Writes to the API server: a bounded number on their way, tried again with growing pauses, the newest of each key.
//
// Kube thread only. What is written is made at the moment of sending, from the objects as they are then.
#pragma once
#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "kube/informer.h"

namespace weir::reconcile {

class Writes {
 public:
  static constexpr std::size_t on_their_way_max = 16;
  static constexpr std::chrono::milliseconds pause_min{200}, pause_max{30'000};

  struct Request {
    std::string method, path, body, content_type;
  };
  struct Job {
    // The object that is written: read again after a conflict. Its answer is put into the informers' copy.
    kube::Kind kind;
    kube::Name name;
    std::function<std::optional<Request>()> make;  // nothing: there is nothing to be written (any more)
    bool once = false;                             // given up after the first fault
  };

  Writes(kube::Client& client, kube::Informers& informers) : client_(client), informers_(informers) {}

  // In place of one of the same key that waits.
  void put(const std::string& key, Job);
  void clear();  // but for what is on its way

  std::size_t waiting() const { return jobs_.size(); }
  std::uint64_t written() const { return written_; }
  std::uint64_t faults() const { return faults_; }
  const std::string& fault() const { return fault_; }  // the last one, until a write succeeds

 private:
  struct Entry {
    std::shared_ptr<Job> job;
    std::shared_ptr<Job> sent;  // what is on its way, if something is
    bool queued = false;        // in ready_ or in a pause
    unsigned attempts = 0;
  };
  void send_ready();
  bool send(const std::string& key, Entry&);
  void answered(const std::string& key, Result<kube::Answer>);
  void again(const std::string& key, Entry&, std::chrono::milliseconds at_least);
  void read_again(const std::string& key, const Job&);
  void keep(const Job&, const std::string& body);
  void finish(std::map<std::string, Entry>::iterator);

  kube::Client& client_;
  kube::Informers& informers_;
  std::map<std::string, Entry> jobs_;
  std::deque<std::string> ready_;
  std::size_t on_their_way_ = 0;
  bool sending_ = false;
  std::uint64_t written_ = 0, faults_ = 0;
  std::string fault_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace weir::reconcile
