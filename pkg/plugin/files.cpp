#include "plugin/files.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <thread>
#include <utility>

#include "base/log.h"
#include "plugin/background.h"

namespace weir::plugin {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t queued_max = 16 << 20;          // bytes of lines that wait for a slow file
constexpr auto last_words = std::chrono::seconds(2);  // for what is queued when the node stops
constexpr auto complaint_every = std::chrono::seconds(10);

}  // namespace

class Files::File : public LogFile {
 public:
  explicit File(std::string path) : path_(std::move(path)), thread_([this] { run(); }) {}
  ~File() override {
    stop();
    thread_.join();
    if (fd_ >= 0) ::close(fd_);
  }

  void stop() {
    {
      const std::lock_guard lock(mutex_);
      if (!stopping_) give_up_at_ = Clock::now() + last_words;
      stopping_ = true;
    }
    filled_.notify_one();
  }

  void add(std::string line, bool reopen) override {
    bool was_empty = false;
    {
      const std::lock_guard lock(mutex_);
      if (stopping_ || queue_.size() + line.size() >= queued_max) {
        dropped_.fetch_add(1, std::memory_order_relaxed);
        return;
      }
      was_empty = queue_.empty();
      queue_.append(line).push_back('\n');
      ++lines_;
      reopen_ = reopen_ || reopen;
    }
    if (was_empty) filled_.notify_one();
  }

  std::uint64_t dropped() const override { return dropped_.load(std::memory_order_relaxed); }

 private:
  void run() {
    block_broken_pipe_signal();
    std::string batch;
    for (;;) {
      bool reopen = false;
      std::uint64_t lines = 0;
      {
        std::unique_lock lock(mutex_);
        filled_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
        if (queue_.empty()) return;
        batch.clear();
        batch.swap(queue_);
        lines = std::exchange(lines_, 0);
        reopen = std::exchange(reopen_, false);
      }
      if (reopen || failed_) close();
      const auto error = write(batch);
      failed_ = error.has_value();
      if (failed_) dropped_.fetch_add(lines, std::memory_order_relaxed);
      complain(error.value_or("it takes less than is written"));
      if (batch.capacity() > (1 << 20)) std::string().swap(batch);
    }
  }

  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

  // O_NONBLOCK: a pipe without a reader is an error, not a thread that never ends.
  std::optional<std::string> write(std::string_view batch) {
    if (fd_ < 0) fd_ = ::open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0644);
    if (fd_ < 0) return fmt::format("cannot be opened: {}", std::strerror(errno));
    while (!batch.empty()) {
      const auto written = ::write(fd_, batch.data(), batch.size());
      if (written > 0) {
        batch.remove_prefix(static_cast<std::size_t>(written));
      } else if (written < 0 && errno == EINTR) {
        continue;
      } else if (written < 0 && errno == EAGAIN) {
        if (!wait()) return "takes nothing";
      } else {
        return fmt::format("cannot be written: {}", std::strerror(errno));
      }
    }
    return {};
  }

  // Until the pipe takes more; false: the node stops, and has waited long enough.
  bool wait() {
    for (;;) {
      {
        const std::lock_guard lock(mutex_);
        if (stopping_ && Clock::now() >= give_up_at_) return false;
      }
      pollfd polled{fd_, POLLOUT, 0};
      if (::poll(&polled, 1, 100) != 0) return true;
    }
  }

  // When lines were lost since the last time.
  void complain(std::string_view error) {
    const auto now = Clock::now();
    const auto dropped = this->dropped();
    if (dropped == told_ || (told_at_ && now - *told_at_ < complaint_every)) return;
    log::warn("a log file of file-log loses lines", {{"path", path_}, {"error", error}, {"lines", dropped - told_}});
    told_ = dropped;
    told_at_ = now;
  }

  const std::string path_;
  int fd_ = -1;  // this and the next three: of the thread
  bool failed_ = false;
  std::uint64_t told_ = 0;
  std::optional<Clock::time_point> told_at_;
  std::mutex mutex_;
  std::condition_variable filled_;
  std::string queue_;
  std::uint64_t lines_ = 0;
  bool reopen_ = false, stopping_ = false;
  Clock::time_point give_up_at_{};
  std::atomic<std::uint64_t> dropped_{0};
  std::thread thread_;
};

Files::Files() = default;

Files::~Files() {
  for (auto& [path, file] : files_) file->stop();  // all at once, so that their two seconds are the same
}

std::shared_ptr<LogFile> Files::at(const std::string& path) {
  const std::lock_guard lock(mutex_);
  auto& known = files_[path];
  if (!known) known = std::make_shared<File>(path);
  const std::shared_ptr<LogFile> out = known;
  std::erase_if(files_, [](const auto& entry) { return entry.second.use_count() == 1; });
  return out;
}

}  // namespace weir::plugin
