#include "wire/html.h"

namespace await::wire {
namespace {

constexpr std::string_view kStyle =
    ":root{color-scheme:light dark}body{font:1rem/1.5 "
    "system-ui,sans-serif;background:Canvas;color:CanvasText;"
    "max-width:44rem;margin:3rem auto;padding:0 1rem}dt{font-weight:600}dd{margin:0 0 .5rem}"
    "code,pre{font-family:ui-monospace,monospace}pre{white-space:pre-wrap;overflow-wrap:anywhere}";

}  // namespace

std::string html_escape(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string html_page(std::string_view title, std::string_view head, std::string_view body) {
  std::string heading = html_escape(title);
  std::string out = "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n";
  out.append("<meta name=\"viewport\" content=\"width=device-width\">\n<title>").append(heading);
  out.append("</title>\n<style>").append(kStyle).append("</style>\n").append(head);
  out.append("</head>\n<body>\n<main>\n<h1>").append(heading).append("</h1>\n").append(body);
  return out.append("</main>\n</body>\n</html>\n");
}

}  // namespace await::wire
