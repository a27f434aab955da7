#include "gateway/configuration.h"

#include <openssl/evp.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

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

Result<OpenStore> open_store(const Options& options) {
  if (options.postgres) {
    auto postgres = *options.postgres;
    postgres.node_id = Uuid::parse(options.node_id).value_or(Uuid::random());
    return OpenStore(store::Postgres::make(postgres));
  }
  auto store = options.database_off ? store::open_sqlite(":memory:", "file") : store::open_sqlite(options.sqlite_path);
  if (!store) return std::unexpected(store.error());
  return OpenStore(std::move(*store));
}

Configuration::Configuration(boost::asio::io_context& io, const Options& options, const OpenStore& store,
                             Publisher& publisher)
    : io_(io), options_(options), store_(store), publisher_(publisher) {}

Result<> Configuration::load() {
  if (!options_.declarative_config_string.empty())
    return load_text("declarative_config_string", options_.declarative_config_string);
  if (options_.declarative_config.empty()) return load_rows();
  auto content = read_file(options_.declarative_config);
  if (!content) return std::unexpected(content.error());
  return load_text(options_.declarative_config, *content);
}

Result<> Configuration::follow(store::Desk& desk) {
  desk_ = &desk;
  if (options_.declarative_config.empty()) return {};
  auto watch = FileWatch::start(io_, options_.declarative_config, [this] { reload(); });
  if (!watch) return std::unexpected(watch.error());
  watch_ = std::move(*watch);
  return {};
}

Result<> Configuration::load_rows() {
  store::Changes changes;
  const auto flush = [&] {
    publisher_.compile(changes, store_->name());
    changes.clear();
  };
  const auto each = [&](const model::Schema& schema, model::Object entity) {
    if (!schema.core()) return;
    const auto id = Uuid::parse(entity.at("id").as_string());
    changes.push_back({&schema, id.value_or(Uuid{}), std::move(entity)});
    if (changes.size() >= piece) flush();
  };
  const auto faulty = [&](store::Fault fault) { note(std::move(fault)); };
  loaded_ = true;
  if (auto* postgres = store_.postgres()) {
    auto loaded = postgres->load(each, faulty);
    if (!loaded) return std::unexpected(loaded.error());
    loaded_ = !loaded->empty;
    if (loaded->from_mirror) log::warn("the database is away: serving the configuration that was in force last");
    if (loaded->empty) log::warn("the database is away, and there is no configuration from before: waiting for it");
  } else if (auto loaded = store_->load(each, faulty); !loaded) {
    return loaded;
  }
  if (!changes.empty()) flush();
  return {};
}

void Configuration::note(store::Fault fault) {
  log::error("row left out", {{"entity", fault.schema}, {"id", fault.id}, {"error", fault.message}});
  row_faults_.push_back(std::move(fault));
}

Result<> Configuration::load_text(const std::string& name, const std::string& content) {
  auto parsed = parse(name, content);
  if (!parsed) return std::unexpected(parsed.error());
  auto changes = store_->replace_all(parsed->entities);
  if (!changes) return fail("{}: {}", name, changes.error().message);
  compile(std::move(*changes));
  hash_ = digest(content);
  loaded_ = true;
  return {};
}

void Configuration::not_reloaded(std::string why) {
  if (why == file_fault_) return;  // said already
  file_fault_ = std::move(why);
  log::error("declarative file not loaded; the configuration before stays in force",
             {{"file", options_.declarative_config}, {"error", file_fault_}});
}

// Reading and comparing a large file takes time: it is done on the store's thread.
void Configuration::reload() {
  const auto& path = options_.declarative_config;
  if (path.empty() || !desk_) return;
  desk_->post([this, path, before = hash_] {
    struct Read {
      Result<store::Changes> changes = store::Changes{};
      std::string hash;
    };
    auto read = std::make_shared<Read>();
    if (auto content = read_file(path); !content) {
      read->changes = std::unexpected(content.error());
    } else if (read->hash = digest(*content); read->hash != before) {
      if (auto parsed = parse(path, *content); !parsed) {
        read->changes = std::unexpected(parsed.error());
      } else if (auto changes = store_->replace_all(parsed->entities); !changes) {
        read->changes = fail("{}: {}", path, changes.error().message);
      } else {
        read->changes = std::move(*changes);
      }
    }
    boost::asio::post(io_, [this, read] {
      if (!read->changes) return not_reloaded(std::move(read->changes.error().message));
      file_fault_.clear();
      if (read->hash == hash_) return;
      hash_ = read->hash;
      apply(std::move(*read->changes), [this] {
        log::notice("declarative file in force",
                    {{"file", options_.declarative_config}, {"revision", publisher_.snapshot()->revision()}});
      });
    });
  });
}

// Core entities go into the snapshot; of the others workers forget what they have cached.
void Configuration::compile(store::Changes changes) {
  std::vector<std::string> stale;
  for (const auto& change : changes) {
    std::erase_if(row_faults_, [&](const auto& fault) { return fault.id == change.id.text(); });
    if (!change.schema->core()) stale.insert(stale.end(), change.keys.begin(), change.keys.end());
  }
  std::erase_if(changes, [](const auto& change) { return !change.schema->core(); });
  if (!stale.empty()) publisher_.invalidate(std::move(stale));
  if (!changes.empty()) publisher_.compile(changes, store_->name());
}

void Configuration::apply(store::Changes changes, std::function<void()> adopted) {
  if (changes.empty()) return adopted();
  compile(std::move(changes));
  publisher_.publish(std::move(adopted));
}

void Configuration::take(store::Followed followed) {
  loaded_ = true;
  const auto before = std::exchange(row_faults_, {});
  for (auto& fault : followed.faults) {
    const bool said = std::ranges::any_of(
        before, [&](const auto& old) { return old.id == fault.id && old.message == fault.message; });
    if (said)
      row_faults_.push_back(std::move(fault));
    else
      note(std::move(fault));
  }
  if (followed.all_stale)
    publisher_.invalidate(std::nullopt);
  else if (!followed.keys.empty())
    publisher_.invalidate(std::move(followed.keys));
  const auto read_at = std::chrono::steady_clock::now();
  compile(std::move(followed.changes));
  publisher_.publish([this, read_at, now = followed.database_now, committed = std::move(followed.committed_at)] {
    const std::chrono::duration<double> since = std::chrono::steady_clock::now() - read_at;
    for (const auto at : committed)
      lag_.observe_us(static_cast<std::uint64_t>(std::max(0.0, now - at + since.count()) * 1e6));
  });
}

std::vector<store::Fault> Configuration::faults() const {
  auto all = row_faults_;
  if (!file_fault_.empty()) all.push_back({"declarative_config", options_.declarative_config, file_fault_});
  return all;
}

}  // namespace weir::gateway
