// Any batch, cut anywhere, gives the same jobs or the same fault; what is taken is JSON, and a payload is a
// part of the body as it was sent.

#include "wire/batch_parser.h"

#include <string>
#include <vector>

#include "base/text.h"
#include "fuzz/input.h"

namespace {

using await::fuzz::must;
using await::wire::BatchParser;

struct Taken {
  std::vector<std::string> jobs;
  std::string fault;
  bool operator==(const Taken &) const = default;
};

std::string show(const await::wire::BatchJob &job) {
  auto number = [](auto value) { return value ? std::to_string(*value) + "," : std::string("-,"); };
  return job.queue.value_or("-") + "," + job.phase.value_or("-") + "," + job.content_type + "," +
         job.file_name.value_or("-") + "," + job.params.value_or("-") + "," + number(job.priority) +
         number(job.max_attempts) + number(job.delay_ms) + number(job.deadline_ms) + number(job.lease_ms) +
         job.payload;
}

void check(const await::wire::BatchJob &job, std::string_view body) {
  must(!job.content_type.empty(), "a job without a type");
  must(!job.file_name || (await::is_text(*job.file_name) && job.file_name->size() <= 255), "a bad file name");
  must(!job.queue || (!job.queue->empty() && job.queue->size() <= 64), "a bad queue");
  must(!job.params || await::wire::is_json(*job.params), "params that are no JSON");
  if (job.content_type == "application/json") {
    must(await::wire::is_json(job.payload), "a payload that is no JSON");
    must(job.payload.size() <= body.size(), "a payload from nowhere");
  }
  must(!job.priority || (*job.priority >= -100 && *job.priority <= 100), "a bad priority");
  must(!job.delay_ms || (*job.delay_ms >= 1 && *job.delay_ms <= 31'536'000'000), "a bad delay");
}

Taken take(std::string_view body, BatchParser::Form form, unsigned allowed, std::size_t step) {
  BatchParser parser(form, allowed);
  Taken out;
  std::string_view left = body;
  while (!left.empty()) {
    std::string_view piece = left.substr(0, step);
    left.remove_prefix(piece.size());
    while (!piece.empty()) {
      BatchParser::Step what = parser.next(piece);
      must(parser.held() <= 2 * body.size() + 64, "more memory than the body has");
      if (what == BatchParser::Step::fault) {
        out.fault = parser.fault().text();
        must(parser.fault().byte <= body.size(), "a fault behind the body");
        return out;
      }
      if (what == BatchParser::Step::more)
        continue;
      check(parser.job(), body);
      out.jobs.push_back(show(parser.job()));
      must(out.jobs.size() == parser.jobs(), "a job that is not counted");
    }
  }
  if (!parser.finish())
    out.fault = parser.fault().text();
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  await::fuzz::Input in(data, size);
  std::size_t step = 1 + in.byte() % 31;
  unsigned how = in.byte();
  auto form = (how & 1) != 0 ? BatchParser::Form::lines : BatchParser::Form::object;
  unsigned allowed = (how & 2) != 0 ? ~0U : 0U;
  Taken whole = take(in.rest(), form, allowed, size + 1);
  must(whole == take(in.rest(), form, allowed, step), "a cut changes what is taken");
  if (form == BatchParser::Form::object && whole.fault.empty())
    must(await::wire::is_json(in.rest()), "a batch that is no JSON");
  return 0;
}
