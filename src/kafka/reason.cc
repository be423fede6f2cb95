#include "kafka/reason.h"

#include <librdkafka/rdkafka.h>

#include "base/text.h"

namespace await::kafka {

std::string reason_of(std::string_view text) {
  for (std::string_view tail :
       {" (after ", " (_", ", 1 identical error(s) suppressed", "identical error(s)"}) {
    if (auto at = text.find(tail); at != std::string_view::npos)
      text = text.substr(0, at);
  }
  return printable(text);
}

void log_event(io::Log &log, const std::string &name, rd_kafka_op_s *event) {
  constexpr int kError = 3;  // of syslog
  constexpr int kDebug = 7;
  const char *facility = "";
  const char *text = "";
  int level = 0;
  if (rd_kafka_event_log(event, &facility, &text, &level) != 0)
    return;
  std::string_view about = facility;
  if (about == "FAIL" || about == "ERROR" || about == "FATAL")
    return;
  if (level <= kError)
    log.error(name + ": librdkafka: " + printable(text));
  else if (level == kDebug)  // the property debug was given
    log.info(name + ": " + std::string(about) + ": " + printable(text));
}

}  // namespace await::kafka
