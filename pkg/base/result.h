// How a function says that something outside of it went wrong.
//
// Somebody else is wrong or away (settings, a file, the network, a database): a value, Result<T>. A broken invariant of
// our own: WEIR_ASSERT. No exception crosses a folder, none starts on the data path.
#pragma once
#include <cstdio>
#include <cstdlib>
#include <expected>
#include <string>
#include <utility>

#include <fmt/format.h>

namespace weir {

// One sentence for the person who must act: names the thing, the value and the remedy.
struct Error {
  std::string message;
};

template <class T = void>
using Result = std::expected<T, Error>;

template <class... Args>
std::unexpected<Error> fail(fmt::format_string<Args...> text, Args&&... args) {
  return std::unexpected(Error{fmt::format(text, std::forward<Args>(args)...)});
}

}  // namespace weir

// We are wrong: say where and stop at once; a supervisor starts us again.
#define WEIR_ASSERT(condition)                                                               \
  do {                                                                                       \
    if (!(condition)) [[unlikely]] {                                                         \
      std::fprintf(stderr, "%s:%d: broken invariant: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                          \
    }                                                                                        \
  } while (false)
