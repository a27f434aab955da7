// A real redis-server on a free port, for tests. It ends with the object.
#pragma once
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <hiredis/hiredis.h>

namespace weir::plugin {

class RedisServerForTests {
 public:
  explicit RedisServerForTests(std::vector<std::string> more = {}, std::string password = "")
      : more_(std::move(more)), password_(std::move(password)) {
    std::string pattern = (std::filesystem::temp_directory_path() / "weir-redis-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    port = free_port();
    start();
  }
  ~RedisServerForTests() {
    kill();
    std::filesystem::remove_all(folder_);
  }
  RedisServerForTests(const RedisServerForTests&) = delete;

  void start() {
    child_ = ::fork();
    if (child_ == 0) {
      std::vector<std::string> words{"redis-server", "--port",    std::to_string(port), "--bind",      "127.0.0.1",
                                     "--save",       "",          "--appendonly",       "no",          "--dir",
                                     folder_,        "--logfile", folder_ + "/log",     "--daemonize", "no"};
      words.insert(words.end(), more_.begin(), more_.end());
      std::vector<char*> arguments;
      for (auto& word : words) arguments.push_back(word.data());
      arguments.push_back(nullptr);
      ::execvp("redis-server", arguments.data());
      ::_exit(127);
    }
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (command({"PING"}).empty() && std::chrono::steady_clock::now() < deadline)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    ASSERT_EQ(command({"PING"}), "PONG") << "redis-server did not start";
  }
  void kill() {
    if (child_ <= 0) return;
    ::kill(child_, SIGKILL);
    ::waitpid(child_, nullptr, 0);
    child_ = -1;
  }
  void freeze() { ::kill(child_, SIGSTOP); }
  void thaw() { ::kill(child_, SIGCONT); }

  // The answer as text, through a connection of its own; empty: there was none.
  std::string command(const std::vector<std::string>& words) const {
    auto* context = redisConnectWithTimeout("127.0.0.1", port, {1, 0});
    std::string out;
    if (context && !context->err) {
      redisSetTimeout(context, {2, 0});
      if (!password_.empty()) freeReplyObject(redisCommand(context, "AUTH %s", password_.c_str()));
      std::vector<const char*> texts;
      for (const auto& word : words) texts.push_back(word.c_str());
      auto* reply =
          static_cast<redisReply*>(redisCommandArgv(context, static_cast<int>(texts.size()), texts.data(), nullptr));
      if (reply) out = text_of(*reply);
      freeReplyObject(reply);
    }
    redisFree(context);
    return out;
  }

  std::uint16_t port = 0;

 private:
  static std::string text_of(const redisReply& reply) {
    if (reply.type == REDIS_REPLY_INTEGER) return std::to_string(reply.integer);
    if (reply.type == REDIS_REPLY_ARRAY) {
      std::string out;
      for (std::size_t i = 0; i < reply.elements; ++i) out += (i ? "\n" : "") + text_of(*reply.element[i]);
      return out;
    }
    return reply.str ? std::string(reply.str, reply.len) : "";
  }
  static std::uint16_t free_port() {
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size), 0);
    ::close(fd);
    return ntohs(address.sin_port);
  }

  std::vector<std::string> more_;
  std::string password_, folder_;
  pid_t child_ = -1;
};

}  // namespace weir::plugin
