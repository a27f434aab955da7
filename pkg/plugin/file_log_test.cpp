#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "plugin/instances_for_tests.h"

namespace weir::plugin {
namespace {

using Clock = std::chrono::steady_clock;

class FileLogTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "weir-file-log-XXXXXX").string();
    folder = ::mkdtemp(pattern.data());
    path = folder + "/access.log";
  }
  void TearDown() override { std::filesystem::remove_all(folder); }

  static std::vector<std::string> lines(const std::string& path) {
    std::vector<std::string> out;
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) out.push_back(line);
    return out;
  }
  static std::vector<std::string> lines(const std::string& path, std::size_t count) {
    const auto deadline = Clock::now() + std::chrono::seconds(20);
    auto out = lines(path);
    while (out.size() < count && Clock::now() < deadline) {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
      out = lines(path);
    }
    return out;
  }
  std::string folder, path;
};

TEST_F(FileLogTest, has_kongs_faults) {
  EXPECT_NE(faults_of(file_log(), "{}").find(R"("path":"required field missing")"), std::string::npos);
  EXPECT_NE(faults_of(file_log(), R"({"path":"/tmp/*"})").find("not a valid filename"), std::string::npos);
  EXPECT_NE(faults_of(file_log(), R"({"path":"/a","custom_fields_by_lua":{"x":"return 1"}})").find("Lua"),
            std::string::npos);
  EXPECT_EQ(faults_of(file_log(), R"({"path":"/a","reopen":true,"custom_fields_by_lua":{}})"), "");
}

TEST_F(FileLogTest, appends_a_line_for_each_request_of_every_worker) {
  Services services({}, nullptr);
  const auto complete = file_log().config().complete_config({{"path", path}});
  ASSERT_TRUE(complete);
  const auto plugin = file_log().make(*complete, {}, services);
  ASSERT_TRUE(plugin);
  constexpr int threads = 4, requests = 500;
  std::vector<std::thread> workers;
  for (int t = 0; t < threads; ++t)
    workers.emplace_back([&, t] {
      for (int i = 0; i < requests; ++i) {
        FakeExchange x;
        x.request_id_ = fmt::format("{}-{}", t, i);
        (*plugin)->log(x);
      }
    });
  for (auto& worker : workers) worker.join();
  std::set<std::string> seen;
  for (const auto& line : lines(path, threads * requests))
    seen.emplace(boost::json::parse(line).at("request").at("id").as_string());
  EXPECT_EQ(seen.size(), static_cast<std::size_t>(threads * requests));
}

TEST_F(FileLogTest, follows_a_rotated_file_when_told_to) {
  for (const bool reopen : {false, true}) {
    Files files;
    const auto file = files.at(path);
    file->add("one", reopen);
    ASSERT_EQ(lines(path, 1), std::vector<std::string>{"one"});
    std::filesystem::rename(path, path + ".1");
    file->add("two", reopen);
    if (reopen) {
      EXPECT_EQ(lines(path, 1), std::vector<std::string>{"two"});
    } else {
      EXPECT_EQ(lines(path + ".1", 2), (std::vector<std::string>{"one", "two"}));
      EXPECT_FALSE(std::filesystem::exists(path));
    }
    std::filesystem::remove(path);
    std::filesystem::remove(path + ".1");
  }
}

TEST_F(FileLogTest, writes_what_is_queued_before_it_ends) {
  {
    Files files;
    const auto file = files.at(path);
    for (int i = 0; i < 10'000; ++i) file->add(std::to_string(i), false);
  }
  const auto written = lines(path);
  ASSERT_EQ(written.size(), 10'000u);
  EXPECT_EQ(written.back(), "9999");
}

TEST_F(FileLogTest, drops_lines_instead_of_waiting_for_a_pipe_that_nobody_reads) {
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  const int reader = ::open(path.c_str(), O_RDONLY | O_NONBLOCK);
  ASSERT_GE(reader, 0);
  const auto begin = Clock::now();
  {
    Files files;
    const auto file = files.at(path);
    const std::string line(64 * 1024, 'x');
    for (int i = 0; i < 1000; ++i) file->add(line, false);  // 64 MB
    EXPECT_GT(file->dropped(), 400u);
    EXPECT_LT(file->dropped(), 1000u);
  }
  EXPECT_LT(Clock::now() - begin, std::chrono::seconds(20));
  ::close(reader);
}

TEST_F(FileLogTest, goes_on_when_a_path_that_could_not_be_opened_can_be) {
  Files files;
  const auto file = files.at(folder + "/sub/access.log");
  file->add("lost", false);
  const auto deadline = Clock::now() + std::chrono::seconds(20);
  while (file->dropped() < 1 && Clock::now() < deadline) std::this_thread::yield();
  ASSERT_EQ(file->dropped(), 1u);
  std::filesystem::create_directory(folder + "/sub");
  file->add("found", false);
  EXPECT_EQ(lines(folder + "/sub/access.log", 1), std::vector<std::string>{"found"});
}

TEST_F(FileLogTest, shares_the_file_between_instances) {
  Files files;
  const auto file = files.at(path);
  EXPECT_EQ(files.at(path), file);
  EXPECT_NE(files.at(path + "2"), file);
}

}  // namespace
}  // namespace weir::plugin
