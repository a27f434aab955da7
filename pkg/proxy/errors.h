// The bodies of answers that Weir gives by itself, in Kong's formats (kong-entities.md section 12).
#pragma once
#include <string>
#include <string_view>

#include "http/head.h"

namespace weir::proxy {

enum class ErrorFormat : std::uint8_t { json, plain, html, xml };

// What the client would read best. by_router: JSON unless Accept asks for another; else Accept decides, then the
// request's own Content-Type, then error_default_type.
ErrorFormat error_format(const http::Head& request, bool by_router, std::string_view error_default_type);
ErrorFormat error_format(std::string_view media_type);

std::string_view content_type(ErrorFormat);
void print_error(std::string& out, ErrorFormat, std::string_view message, std::string_view request_id);

// Kong's sentence for a status that has no closer reason.
std::string_view error_message(int status);

}  // namespace weir::proxy
