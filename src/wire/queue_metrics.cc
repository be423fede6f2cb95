#include "wire/queue_metrics.h"

namespace await::wire {
namespace {

using core::Histogram;
using core::QueueStats;
using Queues = std::span<const QueueStats>;

// as await.buckets()
constexpr std::string_view kBounds[Histogram::kBuckets] = {"0.01", "0.05", "0.1", "0.5",  "1",    "5",   "10",
                                                           "30",   "60",   "300", "1800", "3600", "+Inf"};
// cannot be the name of a queue
constexpr std::string_view kOthers = "(other)";

std::string seconds(std::int64_t ms) {
  std::string digits = std::to_string(ms % 1000 + 1000).substr(1);
  return std::to_string(ms / 1000) + "." + digits;
}

void add_family(std::string &out, std::string_view name, std::string_view help, std::string_view type) {
  out.append("# HELP ").append(name).append(" ").append(help);
  out.append("\n# TYPE ").append(name).append(" ").append(type).append("\n");
}

void add_line(std::string &out, std::string_view name, std::string_view labels, std::string_view value) {
  out.append(name).append("{").append(labels).append("} ").append(value).append("\n");
}

std::string queue_label(const QueueStats &queue) {
  return "queue=" + label_value(queue.name_size == 0 ? kOthers : queue.name());
}

/// @param listed  only queues that are listed, because the sum of the others says nothing
void add_numbers(std::string &out, Queues queues, std::string_view name, std::int64_t QueueStats::*field,
                 bool listed) {
  for (const QueueStats &queue : queues) {
    if (!listed || queue.name_size > 0)
      add_line(out, name, queue_label(queue), std::to_string(queue.*field));
  }
}

void add_histograms(std::string &out, Queues queues, std::string_view name, Histogram QueueStats::*field) {
  for (const QueueStats &queue : queues) {
    if (queue.name_size == 0)
      continue;
    std::string label = queue_label(queue);
    const Histogram &histogram = queue.*field;
    std::int64_t total = 0;
    for (std::size_t i = 0; i < Histogram::kBuckets; ++i) {
      total += histogram.counts[i];
      add_line(out, std::string(name) + "_bucket", label + ",le=\"" + std::string(kBounds[i]) + "\"",
               std::to_string(total));
    }
    add_line(out, std::string(name) + "_sum", label, seconds(histogram.sum_ms));
    add_line(out, std::string(name) + "_count", label, std::to_string(total));
  }
}

struct Number {
  const char *name;
  const char *help;
  std::int64_t QueueStats::*field;
};

constexpr Number kWaiting[] = {
    {"await_queue_ready", "Jobs that can be claimed; 100000 if there are more.", &QueueStats::ready},
    {"await_queue_delayed", "Jobs that can be claimed later.", &QueueStats::delayed},
    {"await_queue_leased", "Jobs that a worker holds.", &QueueStats::leased},
};

struct State {
  const char *name;
  std::int64_t QueueStats::*field;
};

constexpr State kEndings[] = {{"completed", &QueueStats::completed},
                              {"failed", &QueueStats::failed},
                              {"cancelled", &QueueStats::cancelled},
                              {"expired", &QueueStats::expired}};

struct Durations {
  const char *name;
  const char *help;
  Histogram QueueStats::*field;
};

constexpr Durations kDurations[] = {
    {"await_queue_wait_seconds", "Time from when a job could be claimed to its claim.", &QueueStats::wait},
    {"await_queue_run_seconds", "Time from a claim to the end of the attempt.", &QueueStats::run},
    {"await_queue_job_seconds", "Time from the submission to the end of a job.", &QueueStats::total},
};

}  // namespace

std::string label_value(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '\\' || c == '"')
      out += '\\';
    if (c == '\n')
      out += "\\n";
    else
      out += c;
  }
  return out + "\"";
}

std::string queue_metrics(Queues queues, std::int64_t age_ms) {
  std::string out;
  if (queues.empty())
    return out;
  for (const Number &number : kWaiting) {
    add_family(out, number.name, number.help, "gauge");
    add_numbers(out, queues, number.name, number.field, false);
  }
  add_family(out, "await_queue_paused", "1 if the queue is paused.", "gauge");
  add_numbers(out, queues, "await_queue_paused", &QueueStats::paused, true);
  add_family(out, "await_queue_oldest_seconds", "Time for which the first job could have been claimed.",
             "gauge");
  for (const QueueStats &queue : queues)
    add_line(out, "await_queue_oldest_seconds", queue_label(queue), seconds(queue.oldest_ms));
  add_family(out, "await_queue_ended_total", "Jobs that have ended, by their state.", "counter");
  for (const State &state : kEndings) {
    for (const QueueStats &queue : queues) {
      if (queue.name_size > 0)
        add_line(out, "await_queue_ended_total", queue_label(queue) + ",state=\"" + state.name + "\"",
                 std::to_string(queue.*state.field));
    }
  }
  add_family(out, "await_queue_retries_total", "Attempts that failed and are followed by another.",
             "counter");
  add_numbers(out, queues, "await_queue_retries_total", &QueueStats::retries, true);
  for (const Durations &durations : kDurations) {
    add_family(out, durations.name, durations.help, "histogram");
    add_histograms(out, queues, durations.name, durations.field);
  }
  add_family(out, "await_reap_lag_seconds",
             "Time for which due jobs, expired leases or deadlines have waited to be processed.", "gauge");
  out += "await_reap_lag_seconds " + seconds(queues.front().reap_lag_ms) + "\n";
  add_family(out, "await_queue_stats_age_seconds", "Age of the metrics of queues.", "gauge");
  out += "await_queue_stats_age_seconds " + seconds(age_ms) + "\n";
  return out;
}

}  // namespace await::wire
