// Times as Kubernetes writes them.
#pragma once
#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace weir::kube {

using Clock = std::chrono::steady_clock;
using Moment = std::chrono::system_clock::time_point;

// metav1.MicroTime: "2026-01-02T15:04:05.000000Z".
std::string print_micro_time(Moment);
// RFC 3339, with a fraction and "Z" or an offset; years after 2200 count as 2200.
std::optional<Moment> parse_time(std::string_view);

}  // namespace weir::kube
