#include "net/redis_client.h"

#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <thread>
#include <utility>

#include "net/resolver.h"

namespace weir::net {
namespace {

std::vector<Address> addresses_of(const std::string& host, std::uint16_t port) {
  addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = SOCK_STREAM;
  std::vector<Address> out;
  if (::getaddrinfo(host.c_str(), fmt::to_string(port).c_str(), &hints, &found) != 0) return out;
  for (auto* at = found; at; at = at->ai_next) {
    Address address;
    std::memcpy(&address.storage, at->ai_addr, at->ai_addrlen);
    out.push_back(address);
  }
  ::freeaddrinfo(found);
  return out;
}

std::string_view error_of(const redisReply& reply) {
  return reply.type == REDIS_REPLY_ERROR ? std::string_view(reply.str, reply.len) : std::string_view();
}

RedisClient::Answer numbers_of(const redisReply& reply) {
  if (const auto error = error_of(reply); !error.empty()) return fail("{}", error);
  if (reply.type != REDIS_REPLY_ARRAY) return fail("an answer that is no list");
  std::vector<std::uint64_t> out(reply.elements);
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (reply.element[i]->type != REDIS_REPLY_INTEGER) return fail("an answer that is no number");
    out[i] = static_cast<std::uint64_t>(std::max(0LL, reply.element[i]->integer));
  }
  return out;
}

}  // namespace

struct RedisClient::Lookup {
  std::mutex mutex;
  std::condition_variable there;
  bool done = false;
  std::vector<Address> addresses;
};

void RedisClient::Close::operator()(redisContext* context) const {
  redisFree(context);
}
void RedisClient::Free::operator()(redisReply* reply) const {
  freeReplyObject(reply);
}

RedisClient::RedisClient(RedisSettings settings, std::string_view script)
    : settings_(std::move(settings)), script_(script), interrupted_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

RedisClient::~RedisClient() {
  if (interrupted_ >= 0) ::close(interrupted_);
}

void RedisClient::interrupt() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(interrupted_, &one, sizeof one);
}

std::unexpected<Error> RedisClient::failed(std::string_view why) const {
  return fail("Redis {}:{}: {}", settings_.host, settings_.port, why);
}

Result<> RedisClient::wait(int fd, short events, Clock::time_point deadline) {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    std::array<pollfd, 2> polled{pollfd{fd, events, 0}, pollfd{interrupted_, POLLIN, 0}};
    const int ready = ::poll(polled.data(), polled.size(), static_cast<int>(std::clamp<long>(left, 0, 1 << 30)));
    if (ready < 0 && errno == EINTR) continue;
    if (ready < 0) return failed(std::strerror(errno));
    if (polled[1].revents) return failed("given up, the node is stopping");
    if (polled[0].revents) return {};
    return failed(fmt::format("no answer within {} ms", settings_.timeout_ms));
  }
}

Result<int> RedisClient::connect(Clock::time_point deadline) {
  std::vector<Address> addresses;
  if (auto literal = Address::from_ip(settings_.host, settings_.port)) {
    addresses.push_back(*literal);
  } else {
    if (!lookup_) {
      lookup_ = std::make_shared<Lookup>();
      std::thread([lookup = lookup_, host = settings_.host, port = settings_.port] {
        auto found = addresses_of(host, port);
        const std::lock_guard lock(lookup->mutex);
        lookup->addresses = std::move(found);
        lookup->done = true;
        lookup->there.notify_all();
      }).detach();
    }
    std::unique_lock lock(lookup_->mutex);
    if (!lookup_->there.wait_until(lock, deadline, [this] { return lookup_->done; }))
      return failed(fmt::format("its name was not resolved within {} ms", settings_.timeout_ms));
    addresses = std::move(lookup_->addresses);
    lock.unlock();
    lookup_.reset();
    if (addresses.empty()) return failed("its name cannot be resolved");
  }
  auto last = failed("no address");
  for (const auto& address : addresses) {
    const int fd = ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return failed(std::strerror(errno));
    const int one = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    int error = ::connect(fd, address.get(), address.size()) == 0 ? 0 : errno;
    if (error == EINPROGRESS) {
      if (auto ready = wait(fd, POLLOUT, deadline); !ready) {
        ::close(fd);
        return std::unexpected(std::move(ready.error()));
      }
      socklen_t size = sizeof error;
      ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    }
    if (error == 0) return fd;
    ::close(fd);
    last = failed(std::strerror(error));
  }
  return last;
}

Result<> RedisClient::append(const Words& words) {
  std::vector<const char*> texts;
  std::vector<std::size_t> sizes;
  for (const auto word : words) texts.push_back(word.data()), sizes.push_back(word.size());
  if (redisAppendCommandArgv(context_.get(), static_cast<int>(words.size()), texts.data(), sizes.data()) != REDIS_OK)
    return failed(context_->errstr);
  return {};
}

// The context is a non-blocking one: a server that sends a byte now and then does not get around the deadline.
Result<RedisClient::Reply> RedisClient::next_reply(Clock::time_point deadline) {
  for (int written = 0; !written;) {
    if (redisBufferWrite(context_.get(), &written) != REDIS_OK) return failed(context_->errstr);
    if (written) break;
    if (auto ready = wait(context_->fd, POLLOUT, deadline); !ready) return std::unexpected(std::move(ready.error()));
  }
  for (;;) {
    void* reply = nullptr;
    if (redisGetReplyFromReader(context_.get(), &reply) != REDIS_OK) return failed(context_->errstr);
    if (reply) return Reply(static_cast<redisReply*>(reply));
    if (auto ready = wait(context_->fd, POLLIN, deadline); !ready) return std::unexpected(std::move(ready.error()));
    if (redisBufferRead(context_.get()) != REDIS_OK) return failed(context_->errstr);
  }
}

Result<RedisClient::Reply> RedisClient::ask(const Words& words, Clock::time_point deadline, std::string_view what) {
  if (auto sent = append(words); !sent) return std::unexpected(std::move(sent.error()));
  auto reply = next_reply(deadline);
  if (reply && !error_of(**reply).empty()) return failed(fmt::format("{}: {}", what, error_of(**reply)));
  return reply;
}

Result<> RedisClient::open(Clock::time_point deadline) {
  const auto fd = connect(deadline);
  if (!fd) return std::unexpected(fd.error());
  context_.reset(redisConnectFd(*fd));
  if (!context_) {
    ::close(*fd);
    return failed("no memory");
  }
  context_->flags &= ~REDIS_BLOCK;
  if (!settings_.password.empty()) {
    Words login{"AUTH"};
    if (!settings_.username.empty()) login.push_back(settings_.username);
    login.push_back(settings_.password);
    if (auto done = ask(login, deadline, "login"); !done) return std::unexpected(std::move(done.error()));
  }
  if (settings_.database != 0) {
    const auto number = fmt::to_string(settings_.database);
    if (auto done = ask({"SELECT", number}, deadline, "database"); !done)
      return std::unexpected(std::move(done.error()));
  }
  auto name = ask({"SCRIPT", "LOAD", script_}, deadline, "script");
  if (!name) return std::unexpected(std::move(name.error()));
  sha_.assign((*name)->str ? (*name)->str : "", (*name)->str ? (*name)->len : 0);
  return {};
}

Result<std::vector<RedisClient::Answer>> RedisClient::exchange(std::span<const Call> calls, Clock::time_point deadline,
                                                               std::size_t& answered) {
  const auto send = [&](std::string_view command, std::string_view which, const Call& call) {
    const auto keys = fmt::to_string(call.keys.size());
    Words words{command, which, keys};
    words.insert(words.end(), call.keys.begin(), call.keys.end());
    words.insert(words.end(), call.arguments.begin(), call.arguments.end());
    return append(words);
  };
  for (const auto& call : calls)
    if (auto sent = send("EVALSHA", sha_, call); !sent) return std::unexpected(std::move(sent.error()));
  std::vector<Answer> out;
  std::vector<std::size_t> unknown;  // SCRIPT FLUSH makes a server forget
  for (std::size_t i = 0; i < calls.size(); ++i) {
    auto reply = next_reply(deadline);
    if (!reply) return std::unexpected(std::move(reply.error()));
    ++answered;
    if (error_of(**reply).starts_with("NOSCRIPT")) unknown.push_back(i);
    out.push_back(numbers_of(**reply));
  }
  for (const auto i : unknown)
    if (auto sent = send("EVAL", script_, calls[i]); !sent) return std::unexpected(std::move(sent.error()));
  for (const auto i : unknown) {
    auto reply = next_reply(deadline);
    if (!reply) return std::unexpected(std::move(reply.error()));
    out[i] = numbers_of(**reply);
  }
  return out;
}

Result<std::vector<RedisClient::Answer>> RedisClient::run(std::span<const Call> calls) {
  const auto deadline = Clock::now() + std::chrono::milliseconds(settings_.timeout_ms);
  for (;;) {
    const bool reused = context_ != nullptr;
    if (!reused)
      if (auto ready = open(deadline); !ready) {
        context_.reset();
        return std::unexpected(std::move(ready.error()));
      }
    std::size_t answered = 0;
    auto out = exchange(calls, deadline, answered);
    if (out) return out;
    // Most likely the server had closed the connection while nobody used it: once more with a new one. A server that
    // was killed between counting and answering has lost what it counted.
    const bool closed = context_->err == REDIS_ERR_EOF || context_->err == REDIS_ERR_IO;
    context_.reset();
    if (!reused || !closed || answered > 0) return out;
  }
}

}  // namespace weir::net
