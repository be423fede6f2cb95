#pragma once

#include <string>
#include <string_view>

namespace await::wire {

/// `text` for the content of an element or a quoted attribute.
std::string html_escape(std::string_view text);

/// A small page without scripts, for people who follow a link or send a plain form.
/// @param title  text; also the heading
/// @param head  more elements of the head, as HTML
/// @param body  what stands below the heading, as HTML
std::string html_page(std::string_view title, std::string_view head, std::string_view body);

/// The Content-Security-Policy that such a page needs.
inline constexpr std::string_view kHtmlPolicy =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors "
    "'none'";

}  // namespace await::wire
