#include "reconcile/gateway_addresses.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <set>
#include <tuple>

#include "reconcile/gateway_fields.h"
#include "reconcile/gateway_service.h"

namespace weir::reconcile {
namespace {

namespace json = boost::json;

// Network byte order; empty when it is no address.
std::string bytes_of(std::string_view ip) {
  const std::string text(ip);
  std::string out(16, '\0');
  if (inet_pton(AF_INET6, text.c_str(), out.data()) == 1) return out;
  out.resize(4);
  return inet_pton(AF_INET, text.c_str(), out.data()) == 1 ? out : std::string();
}

std::string without_host_part(std::string bytes, unsigned prefix) {
  for (unsigned bit = prefix; bit < bytes.size() * 8; ++bit)
    bytes[bit / 8] = static_cast<char>(static_cast<unsigned char>(bytes[bit / 8]) & ~(0x80u >> (bit % 8)));
  return bytes;
}

// What a Gateway asks for and what it has.
struct Wish {
  Name name;
  std::int64_t created = 0;
  std::vector<std::string> fixed;    // values of spec.addresses
  std::size_t dynamic = 0;           // further ones of our choice
  std::vector<std::string> present;  // of status.addresses, in the pool
};

Wish wish_of(const Name& name, const Object& gateway, const AddressPool& pool) {
  Wish out{name, created_at(gateway), {}, 0, {}};
  const auto& asked = array_of(gateway, {"spec", "addresses"});
  if (asked.empty()) out.dynamic = 1;
  for (const auto& value : asked) {
    const auto& address = object_in(value);
    if (text_of(address, "type", "IPAddress") != "IPAddress") continue;
    if (auto text = text_of(address, "value"); text.empty())
      ++out.dynamic;
    else
      out.fixed.push_back(std::move(text));
  }
  for (const auto& value : array_of(gateway, {"status", "addresses"}))
    if (auto text = text_of(object_in(value), "value"); pool.contains(text)) out.present.push_back(std::move(text));
  return out;
}

std::uint64_t hash_of(std::string_view text) {  // FNV-1a: the same on every replica
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const unsigned char c : text) hash = (hash ^ c) * 0x100000001b3;
  return hash;
}

// Who has which address, as every replica works it out from the same objects: what a Gateway has by its status it
// keeps, then come fixed addresses, then free ones; the older Gateway first.
class Assignment {
 public:
  Assignment(const AddressPool& pool, std::vector<Wish> wishes) : pool_(pool), wishes_(std::move(wishes)) {
    std::sort(wishes_.begin(), wishes_.end(),
              [](const auto& a, const auto& b) { return std::tie(a.created, a.name) < std::tie(b.created, b.name); });
    for (const auto& wish : wishes_) keep(wish);
    for (const auto& wish : wishes_)
      for (const auto& fixed : wish.fixed)
        if (pool_.contains(fixed)) owners_.emplace(fixed, wish.name);
    for (const auto& wish : wishes_) choose(wish);
  }
  bool owns(const Name& gateway, const std::string& address) const {
    const auto found = owners_.find(address);
    return found != owners_.end() && found->second == gateway;
  }
  const std::vector<std::string>& chosen(const Name& gateway) { return chosen_[gateway]; }

 private:
  void keep(const Wish& wish) {
    for (const auto& address : wish.present) {
      const bool fixed = std::find(wish.fixed.begin(), wish.fixed.end(), address) != wish.fixed.end();
      auto& chosen = chosen_[wish.name];
      if ((fixed || chosen.size() < wish.dynamic) && owners_.emplace(address, wish.name).second && !fixed)
        chosen.push_back(address);
    }
  }
  void choose(const Wish& wish) {
    auto& chosen = chosen_[wish.name];
    const auto size = pool_.size();
    for (std::uint64_t start = hash_of(wish.name.text()) % size, i = 0; i < size && chosen.size() < wish.dynamic; ++i) {
      auto address = pool_.at((start + i) % size);
      if (owners_.emplace(address, wish.name).second) chosen.push_back(std::move(address));
    }
  }

  const AddressPool& pool_;
  std::vector<Wish> wishes_;
  std::map<std::string, Name> owners_;
  std::map<Name, std::vector<std::string>> chosen_;
};

Assignment assign(const AddressPool& pool, View& view) {
  std::vector<Wish> wishes;
  view.each(kinds::gateway, {}, [&](const Name& name, const Object& gateway) {
    if (is_ours(gateway, view)) wishes.push_back(wish_of(name, gateway, pool));
  });
  return Assignment(pool, std::move(wishes));
}

void refuse_types(AddressPlan& plan, const json::array& asked) {
  for (const auto& value : asked) {
    const auto type = text_of(object_in(value), "type", "IPAddress");
    if (type == "IPAddress") continue;
    plan.refused = "UnsupportedAddress";
    plan.refused_message = fmt::format("Addresses of type {} are not supported: use IPAddress.", type);
  }
}

void not_usable(AddressPlan& plan, std::string_view reason, std::string message) {
  if (!plan.not_programmed.empty()) return;
  plan.not_programmed = reason;
  plan.not_programmed_message = std::move(message);
}

void plan_from_pool(AddressPlan& plan, const AddressPool& pool, const ListenerPlan& gateway, const json::array& asked,
                    View& view) {
  auto assignment = assign(pool, view);
  const auto& chosen = assignment.chosen(gateway.gateway);
  std::size_t used = 0;
  const auto take_chosen = [&](std::size_t index) {
    if (used < chosen.size())
      plan.addresses.push_back({chosen[used++], "IPAddress", index});
    else
      not_usable(plan, "AddressNotAssigned",
                 fmt::format("The address pool {} has no free address.", view.settings().gateway_addresses));
  };
  if (asked.empty()) take_chosen(0);
  for (std::size_t i = 0; i < asked.size(); ++i) {
    const auto value = text_of(object_in(asked[i]), "value");
    if (value.empty())
      take_chosen(i);
    else if (assignment.owns(gateway.gateway, value))
      plan.addresses.push_back({value, "IPAddress", i});
    else
      not_usable(plan, "AddressNotUsable",
                 pool.contains(value)
                     ? fmt::format("Address {} belongs to another Gateway.", value)
                     : fmt::format("Address {} is not of the pool {}.", value, view.settings().gateway_addresses));
  }
  plan.applied = name_of_addresses(gateway, plan.addresses);
}

}  // namespace

AddressPlan plan_addresses(const ListenerPlan& gateway, View& view) {
  AddressPlan plan;
  const auto& asked = array_of(gateway.object, {"spec", "addresses"});
  refuse_types(plan, asked);
  if (!plan.refused.empty()) return plan;
  if (const auto pool = AddressPool::parse(view.settings().gateway_addresses)) {
    plan_from_pool(plan, *pool, gateway, asked, view);
    return plan;
  }
  for (const auto& value : asked)
    if (const auto text = text_of(object_in(value), "value"); !text.empty())
      not_usable(plan, "AddressNotUsable",
                 fmt::format("Address {} cannot be chosen: Weir has no address pool (gateway_addresses).", text));
  plan_service(gateway, view, plan);
  if (plan.addresses.empty()) not_usable(plan, "AddressNotAssigned", "The Gateway's Service has no address yet.");
  return plan;
}

std::optional<AddressPool> AddressPool::parse(std::string_view cidr) {
  const auto slash = cidr.find('/');
  if (slash == cidr.npos) return {};
  AddressPool out;
  out.base_ = bytes_of(cidr.substr(0, slash));
  const auto* end = cidr.data() + cidr.size();
  const auto read = std::from_chars(cidr.data() + slash + 1, end, out.prefix_);
  if (out.base_.empty() || read.ec != std::errc{} || read.ptr != end || out.prefix_ > out.base_.size() * 8) return {};
  out.base_ = without_host_part(std::move(out.base_), out.prefix_);
  return out;
}

bool AddressPool::contains(std::string_view ip) const {
  const auto bytes = bytes_of(ip);
  return bytes.size() == base_.size() && without_host_part(bytes, prefix_) == base_;
}

std::uint64_t AddressPool::size() const {
  const auto bits = static_cast<unsigned>(base_.size() * 8) - prefix_;
  const auto all = std::uint64_t{1} << std::min(bits, 32u);
  return base_.size() == 4 && all > 2 ? all - 2 : all;
}

std::string AddressPool::at(std::uint64_t index) const {
  auto offset = base_.size() == 4 && prefix_ < 31 ? index + 1 : index;
  auto bytes = base_;
  for (auto at = bytes.size(); offset && at-- > 0; offset >>= 8)
    bytes[at] = static_cast<char>(static_cast<unsigned char>(bytes[at]) | (offset & 0xff));
  char text[INET6_ADDRSTRLEN] = {};
  inet_ntop(bytes.size() == 4 ? AF_INET : AF_INET6, bytes.data(), text, sizeof text);
  return text;
}

}  // namespace weir::reconcile
