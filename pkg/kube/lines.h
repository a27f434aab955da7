// Cuts a stream of bytes into lines.
#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace weir::kube {

class Lines {
 public:
  // An object of etcd has 1.5 MiB at most; text with escapes, managedFields and all stays far below this.
  static constexpr std::size_t line_max = 16 * 1024 * 1024;
  explicit Lines(std::size_t max = line_max) : max_(max) {}

  // False: a line is longer than allowed; the stream is of no use any more.
  bool add(std::string_view bytes) {
    if (head_ == text_.size()) forget();
    text_ += bytes;
    // What is not yet searched may be long, but was added since the last next() only.
    return text_.size() - head_ <= max_ || text_.find('\n', searched_) - head_ <= max_;
  }
  bool waiting() const { return searched_ < text_.size(); }  // next() may have one
  // The next complete line without its end, empty ones left out; valid until the next call.
  std::optional<std::string_view> next() {
    for (;;) {
      const auto end = text_.find('\n', searched_);
      if (end == text_.npos) {
        searched_ = text_.size();
        if (head_ > 64 * 1024 && head_ > text_.size() / 2) {
          text_.erase(0, head_);
          searched_ -= head_;
          head_ = 0;
        }
        return std::nullopt;
      }
      auto line = std::string_view(text_).substr(head_, end - head_);
      head_ = searched_ = end + 1;
      if (line.ends_with('\r')) line.remove_suffix(1);
      if (!line.empty()) return line;
    }
  }

 private:
  void forget() {
    if (text_.capacity() > 1024 * 1024) text_ = {};  // one large object does not cost for ever
    text_.clear();
    head_ = searched_ = 0;
  }

  std::size_t max_, head_ = 0, searched_ = 0;
  std::string text_;
};

}  // namespace weir::kube
