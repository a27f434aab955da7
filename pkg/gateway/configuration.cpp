#include "gateway/configuration.h"

#include <openssl/evp.h>

#include "base/log.h"
#include "gateway/gateway.h"
#include "gateway/process.h"

namespace weir::gateway {
namespace {

constexpr std::size_t piece = 4096;  // entities compiled at a time while loading

double now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::string digest(std::string_view content) {
  unsigned char bytes[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  WEIR_ASSERT(EVP_Digest(content.data(), content.size(), bytes, &size, EVP_sha256(), nullptr) == 1);
  std::string out;
  for (int i = 0; i < 16; i++) out += fmt::format("{:02x}", bytes[i]);
  return out;
}

Result<store::Declarative> parse(const std::string& path, std::string_view content) {
  auto parsed = store::parse_declarative(content, now());
  if (parsed) return std::move(*parsed);
  const auto& problem = parsed.error();
  return fail("{}: {}{}", path, problem.message,
              problem.fields.empty() ? "" : " " + boost::json::serialize(problem.fields));
}

}  // namespace

Result<store::Declarative> read_declarative(const std::string& path) {
  auto content = read_file(path);
  if (!content) return std::unexpected(content.error());
  return parse(path, *content);
}

Result<std::unique_ptr<store::Store>> open_store(const Options& options) {
  if (options.database_off) return store::open_sqlite(":memory:", "file");
  return store::open_sqlite(options.sqlite_path);
}

Configuration::Configuration(boost::asio::io_context& io, const Options& options, store::Store& store,
                             Publisher& publisher)
    : io_(io), options_(options), store_(store), publisher_(publisher) {}

Result<> Configuration::load() {
  if (!options_.declarative_config.empty()) {
    if (auto loaded = load_file(); !loaded) return loaded;
    auto watch = FileWatch::start(io_, options_.declarative_config, [this] { reload(); });
    if (!watch) return std::unexpected(watch.error());
    watch_ = std::move(*watch);
    return {};
  }
  return load_rows();
}

Result<> Configuration::load_rows() {
  store::Changes changes;
  const auto flush = [&] {
    publisher_.compile(changes, store_.name());
    changes.clear();
  };
  auto loaded = store_.load(
      [&](const model::Schema& schema, model::Object entity) {
        const auto id = Uuid::parse(entity.at("id").as_string());
        changes.push_back({&schema, id.value_or(Uuid{}), std::move(entity)});
        if (changes.size() >= piece) flush();
      },
      [&](store::Fault fault) {
        log::error("row left out", {{"entity", fault.schema}, {"id", fault.id}, {"error", fault.message}});
        row_faults_.push_back(std::move(fault));
      });
  if (!loaded) return loaded;
  if (!changes.empty()) flush();
  return {};
}

Result<> Configuration::load_file() {
  const auto& path = options_.declarative_config;
  auto content = read_file(path);
  if (!content) return std::unexpected(content.error());
  auto hash = digest(*content);
  if (hash == hash_) {
    file_fault_.clear();
    return {};
  }
  auto parsed = parse(path, *content);
  if (!parsed) return std::unexpected(parsed.error());
  auto changes = store_.replace_all(parsed->entities);
  if (!changes) return fail("{}: {}", path, changes.error().message);
  publisher_.compile(*changes, store_.name());
  hash_ = std::move(hash);
  file_fault_.clear();
  return {};
}

void Configuration::reload() {
  const auto& path = options_.declarative_config;
  if (path.empty()) return;
  const auto before = hash_;
  if (auto loaded = load_file(); !loaded) {
    if (loaded.error().message == file_fault_) return;  // said already
    file_fault_ = loaded.error().message;
    return log::error("declarative file not loaded; the configuration before stays in force",
                      {{"file", path}, {"error", file_fault_}});
  }
  if (hash_ == before) return;
  publisher_.publish([this, path] {
    log::notice("declarative file in force", {{"file", path}, {"revision", publisher_.snapshot()->revision()}});
  });
}

void Configuration::apply(const store::Changes& changes, std::function<void()> adopted) {
  if (changes.empty()) return adopted();
  for (const auto& change : changes)
    std::erase_if(row_faults_, [&](const auto& fault) { return fault.id == change.id.text(); });
  publisher_.compile(changes, store_.name());
  publisher_.publish(std::move(adopted));
}

std::vector<store::Fault> Configuration::faults() const {
  auto all = row_faults_;
  if (!file_fault_.empty()) all.push_back({"declarative_config", options_.declarative_config, file_fault_});
  return all;
}

}  // namespace weir::gateway
