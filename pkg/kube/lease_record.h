// The spec of a Lease, and what of the object has to be kept when it is written again. No I/O.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include <boost/json.hpp>

#include "base/result.h"
#include "kube/moment.h"

namespace weir::kube {

std::string lease_path(std::string_view space, std::string_view name = {});
std::uint64_t random_up_to(std::uint64_t most);

struct LeaseRecord {
  std::string holder, acquired, renewed;  // times as they are written
  std::int64_t duration_seconds = 0, transitions = 0;
  boost::json::object metadata;  // with the resourceVersion, against which the next write is checked

  static Result<LeaseRecord> parse(std::string_view object);
  // What the holder leaves behind, so that the next one need not wait.
  static LeaseRecord released(LeaseRecord);
  void take(const std::string& identity, std::int64_t seconds, Moment now);
  std::string print(std::string_view space, std::string_view name) const;
  // Whether the holder has written nothing in between.
  bool same_state(const LeaseRecord& other) const {
    return holder == other.holder && acquired == other.acquired && renewed == other.renewed &&
           duration_seconds == other.duration_seconds && transitions == other.transitions;
  }
};

}  // namespace weir::kube
