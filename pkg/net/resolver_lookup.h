// One name's way from question to answer: which record types are asked in which order, and what the replies mean.
//
// Decides only: no I/O, no clock. Whoever owns it asks the questions and brings the replies, in any order.
#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "net/resolver_hosts.h"
#include "net/resolver_reply.h"

namespace weir::net {

// Kong's dns_order. LAST stands for the type that answered last time.
struct TypeOrder {
  std::vector<std::optional<RecordType>> types;  // nothing: LAST

  static Result<TypeOrder> parse(std::span<const std::string> words);
  // Each type once, LAST replaced.
  std::vector<RecordType> after(std::optional<RecordType> last) const;
};

class Lookup {
 public:
  // previous: the answer until now, or null.
  Lookup(std::string name, const TypeOrder&, std::optional<RecordType> last, std::shared_ptr<const Hosts> hosts,
         ResolvedPtr previous);

  // What is to be asked now; each question is handed out once.
  std::vector<Question> questions();
  void answer(const Question&, Reply);

  struct Outcome {
    Resolved resolved;
    std::optional<RecordType> type;  // when it is ok
    std::uint32_t ttl_seconds = 0;   // when it is ok
    bool from_hosts = false;         // no query was needed
    bool in_part = false;            // ok, but some SRV targets could not be resolved now
  };
  // Nothing while replies are missing.
  std::optional<Outcome> outcome() const;

 private:
  // A name whose record types are tried in order, the first `ahead` of them at once.
  struct Part {
    std::string name;
    std::vector<RecordType> order;
    std::size_t ahead = 1;
    std::optional<RecordType> trusted;  // a type that must not be passed over because DNS failed to answer
    std::vector<std::optional<Reply>> replies;
    std::size_t asked = 0;

    std::size_t lead() const;  // the type that decides as far as is known; order.size() when none is left
    bool finished() const;
    const Reply* good() const;
    Resolved::State bad() const;  // of a finished part without a good reply
    std::string message() const;
  };
  static Part part(std::string name, std::vector<RecordType> order);
  void resolve_targets(const Reply& srv);
  Outcome of_addresses(RecordType, std::span<const Address>) const;
  Outcome of_targets(const Reply& srv) const;

  Part top_;
  std::shared_ptr<const Hosts> hosts_;
  ResolvedPtr previous_;
  std::vector<RecordType> address_order_;
  std::optional<Hosts::Found> settled_;  // by the hosts file
  bool has_targets_ = false;
  // The names in an SRV answer, each once: those that need no query, and the others.
  std::map<std::string, std::vector<Address>, std::less<>> known_targets_;
  std::vector<Part> targets_;
};

}  // namespace weir::net
