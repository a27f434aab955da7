// Kubernetes Events about objects: one for each fault and generation, a bounded number a minute.
#pragma once
#include <chrono>
#include <map>
#include <string>

#include "reconcile/digest.h"
#include "reconcile/writes.h"

namespace weir::reconcile {

class Events {
 public:
  // As client-go's recorder: a burst, then one each few seconds for all objects together.
  static constexpr double burst = 50, per_second = 1;

  Events(kube::Informers&, Writes&, std::string reporting_instance);

  // reason, message empty: there is no fault (any more).
  void tell(const Kind&, const Name&, std::int64_t generation, const std::string& reason, const std::string& message,
            std::chrono::steady_clock::time_point now);
  void forget(const Kind&, const Name&);
  std::uint64_t suppressed() const { return suppressed_; }

 private:
  bool may_tell(std::chrono::steady_clock::time_point now);
  void write(const Kind&, const Name&, bool warning, const std::string& reason, const std::string& message);

  kube::Informers& informers_;
  Writes& writes_;
  std::string instance_;
  std::map<std::string, Digest> told_;  // of objects with a fault
  double tokens_ = burst;
  std::chrono::steady_clock::time_point filled_at_{};
  std::uint64_t suppressed_ = 0, made_ = 0;
};

}  // namespace weir::reconcile
