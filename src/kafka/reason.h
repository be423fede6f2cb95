#pragma once

#include <string>
#include <string_view>

#include "io/log.h"

struct rd_kafka_op_s;

namespace await::kafka {

/// The text of an error of librdkafka without what differs each time ("after 3ms in state CONNECT", "3
/// messages …"), so that the log has each reason once.
std::string reason_of(std::string_view text);

/// What to do about an error of librdkafka, to stand behind its text; empty: that is not known.
/// @param text  its text, if there is one
std::string remedy_for(int error, std::string_view text = "");

/// Whether two of these texts say the same of different brokers, as when all of them are away.
bool same_but_for_the_broker(std::string_view one, std::string_view other);

/// Which offset of a partition its broker does not have, and where the consumer goes on instead; empty: the
/// event is about something else.
std::string reset_of(rd_kafka_op_s *event);

/// Passes on what librdkafka logs, except failures of connections: those come as errors, too.
/// @param name  of whom it is about
void log_event(io::Log &log, const std::string &name, rd_kafka_op_s *event);

}  // namespace await::kafka
