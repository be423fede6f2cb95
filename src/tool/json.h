#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace await::tool {

/// The text at `path` (names separated by dots) of an object that is valid JSON: a string as it is meant,
/// anything else as it is written. Empty if it is null or missing.
std::string text_at(std::string_view json, std::string_view path);
/// The elements of an array that is valid JSON, as they are written.
std::vector<std::string> elements(std::string_view array);

/// `json`, which is valid, with what could control a terminal as \uXXXX: the same value.
std::string shown_json(std::string_view json);
/// A text of others for a terminal: on one line, and without anything that controls it.
/// @param lines  keeps line breaks and tabs
std::string shown(std::string_view text, bool lines = false);

}  // namespace await::tool
