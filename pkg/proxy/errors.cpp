#include "proxy/errors.h"

#include <optional>

#include "base/text.h"

namespace weir::proxy {
namespace {

// The format that a media range stands for, "application/json;v=1" or "*/*".
std::optional<ErrorFormat> format_of(std::string_view range, ErrorFormat any) {
  auto type = text::trim(range.substr(0, range.find(';')));
  if (type == "*/*" || type == "application/*") return any;
  if (text::equal_ignoring_case(type, "application/json")) return ErrorFormat::json;
  if (text::equal_ignoring_case(type, "text/html") || text::equal_ignoring_case(type, "application/xhtml+xml"))
    return ErrorFormat::html;
  if (text::equal_ignoring_case(type, "application/xml") || text::equal_ignoring_case(type, "text/xml"))
    return ErrorFormat::xml;
  if (text::equal_ignoring_case(type, "text/plain") || type == "text/*") return ErrorFormat::plain;
  return {};
}

// The weight of a media range in thousandths; 1000 without or with a broken one.
int quality(std::string_view range) {
  for (auto part : text::split(range, ';')) {
    if (part.size() < 3 || text::lower(part[0]) != 'q' || part[1] != '=') continue;
    int value = part[2] == '1' ? 1000 : 0;
    for (std::size_t i = 4, unit = 100; i < part.size() && i < 7; ++i, unit /= 10)
      if (part[i] >= '0' && part[i] <= '9') value += (part[i] - '0') * static_cast<int>(unit);
    return std::min(value, 1000);
  }
  return 1000;
}

// Messages of plugins may hold what somebody configured, or a client sent.
void append_json(std::string& out, std::string_view text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20) continue;
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
}
void append_markup(std::string& out, std::string_view text) {
  for (const char c : text) {
    if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '&')
      out += "&amp;";
    else
      out += c;
  }
}

}  // namespace

ErrorFormat error_format(std::string_view media_type) {
  return format_of(media_type, ErrorFormat::plain).value_or(ErrorFormat::plain);
}

ErrorFormat error_format(const http::Head& request, bool by_router, std::string_view error_default_type) {
  auto any = by_router ? ErrorFormat::json : error_format(error_default_type);
  std::optional<ErrorFormat> best, own;
  int best_quality = 0;
  for (const auto& field : request.fields()) {
    if (field.token == http::Name::content_type && !own) own = format_of(field.value, any);
    if (field.token != http::Name::accept) continue;
    for (auto range : text::split(field.value)) {
      auto format = format_of(range, any);
      if (int q = quality(range); format && q > best_quality) best = format, best_quality = q;
    }
  }
  if (best) return *best;
  if (!by_router && own) return *own;
  return any;
}

std::string_view content_type(ErrorFormat format) {
  switch (format) {
    case ErrorFormat::json:
      return "application/json; charset=utf-8";
    case ErrorFormat::html:
      return "text/html; charset=utf-8";
    case ErrorFormat::xml:
      return "application/xml; charset=utf-8";
    case ErrorFormat::plain:
      break;
  }
  return "text/plain; charset=utf-8";
}

void print_error(std::string& out, ErrorFormat format, std::string_view message, std::string_view id) {
  switch (format) {
    case ErrorFormat::json:
      out.append("{\n  \"message\":\"");
      append_json(out, message);
      out.append("\",\n  \"request_id\":\"").append(id).append("\"\n}");
      break;
    case ErrorFormat::plain:
      out.append(message).append("\nrequest_id: ").append(id).append("\n");
      break;
    case ErrorFormat::html:
      out.append(
          "<!doctype html>\n<html>\n  <head>\n    <meta charset=\"utf-8\">\n    <title>Error</title>\n  </head>\n"
          "  <body>\n    <h1>Error</h1>\n    <p>");
      append_markup(out, message);
      out.append(".</p>\n    <p>request_id: ").append(id).append("</p>\n  </body>\n</html>\n");
      break;
    case ErrorFormat::xml:
      out.append("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<error>\n  <message>");
      append_markup(out, message);
      out.append("</message>\n  <requestid>").append(id).append("</requestid>\n</error>");
      break;
  }
}

std::string_view error_message(int status) {
  switch (status) {
    case 400:
      return "Bad request";
    case 404:
      return "Not found";
    case 408:
      return "Request timeout";
    case 411:
      return "Length required";
    case 412:
      return "Precondition failed";
    case 413:
      return "Payload too large";
    case 414:
      return "URI too long";
    case 417:
      return "Expectation failed";
    case 431:
      return "Request header or cookie too large";
    case 494:
      return "Request header or cookie too large";
    case 501:
      return "Not implemented";
    case 502:
      return "An invalid response was received from the upstream server";
    case 503:
      return "The upstream server is currently unavailable";
    case 504:
      return "The upstream server is timing out";
    case 505:
      return "HTTP version not supported";
    default:
      return "An unexpected error occurred";
  }
}

}  // namespace weir::proxy
