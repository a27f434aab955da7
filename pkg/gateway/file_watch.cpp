#include "gateway/file_watch.h"

#include <cerrno>
#include <cstring>
#include <filesystem>

#include <sys/inotify.h>
#include <unistd.h>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

namespace weir::gateway {
namespace {

namespace asio = boost::asio;
constexpr std::chrono::milliseconds settle{20};  // joins the events of one save

class Inotify : public FileWatch {
 public:
  Inotify(asio::io_context& io, int fd, std::function<void()> changed)
      : events_(io, fd), timer_(io), changed_(std::move(changed)) {
    read();
  }

 private:
  void read() {
    events_.async_read_some(asio::buffer(buffer_), [this](boost::system::error_code error, std::size_t) {
      if (error) return;
      timer_.expires_after(settle);
      timer_.async_wait([this](boost::system::error_code cancelled) {
        if (!cancelled) changed_();
      });
      read();
    });
  }

  asio::posix::stream_descriptor events_;
  asio::steady_timer timer_;
  std::function<void()> changed_;
  std::array<char, 8192> buffer_;
};

}  // namespace

Result<std::unique_ptr<FileWatch>> FileWatch::start(asio::io_context& io, const std::string& path,
                                                    std::function<void()> changed) {
  auto folder = std::filesystem::path(path).parent_path();
  if (folder.empty()) folder = ".";
  const int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (fd < 0) return fail("cannot watch {}: {}", path, std::strerror(errno));
  constexpr std::uint32_t mask = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE;
  if (inotify_add_watch(fd, folder.c_str(), mask) < 0) {
    const int error = errno;
    close(fd);
    return fail("cannot watch folder {}: {}", folder.string(), std::strerror(error));
  }
  return std::make_unique<Inotify>(io, fd, std::move(changed));
}

}  // namespace weir::gateway
