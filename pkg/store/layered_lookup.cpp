#include "store/lookup.h"

namespace weir::store {
namespace {

class LayeredLookup final : public Lookup {
 public:
  LayeredLookup(std::unique_ptr<Lookup> first, std::unique_ptr<Lookup> then)
      : first_(std::move(first)), then_(std::move(then)) {}

  void find(const LookupKey& key, std::function<void(Found, double)> done) override {
    first_->find(key, [this, schema = key.schema, field = std::string(key.field), value = std::string(key.value),
                       done = std::move(done)](Found found, double expires_at) {
      if (!found.failed && !found.rows.empty()) return done(std::move(found), expires_at);
      then_->find({schema, field, value}, done);
    });
  }

 private:
  std::unique_ptr<Lookup> first_, then_;
};

}  // namespace

std::unique_ptr<Lookup> layered_lookup(std::unique_ptr<Lookup> first, std::unique_ptr<Lookup> then) {
  return std::make_unique<LayeredLookup>(std::move(first), std::move(then));
}

}  // namespace weir::store
