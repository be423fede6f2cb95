#include "http/exchange/readiness.h"

#include "wire/json_list.h"

namespace await::http {

std::string encode_problems(const std::vector<Backends::Readiness::Problem> &problems) {
  wire::JsonList out;
  for (const auto &problem : problems) {
    wire::JsonWriter one;
    one.text("part", problem.part);
    one.text("state", problem.state);
    out.made(one.take());
  }
  return out.take();
}

}  // namespace await::http
