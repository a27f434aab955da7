// Which part of a list a client asks for, and how the next part is linked.
#pragma once
#include <string>

#include "admin/endpoint.h"
#include "model/problem.h"
#include "store/store.h"

namespace weir::admin {

// size, offset and (filter: true) tags of a request. Codes 9 and 11.
model::Outcome<store::PageQuery> read_page_query(const Call&, bool filter);

// {"data": rows, "next": null} or with "offset" and "next" = path?offset=..[&tags=..][&size=..].
Object list_body(boost::json::array rows, const std::optional<std::string>& next_offset, const std::string& path,
                 const Query& keep);

// The arguments of this call that links of a top-level list repeat: tags and size.
Query kept_args(const Call&);

}  // namespace weir::admin
