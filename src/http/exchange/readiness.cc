#include "http/exchange/readiness.h"

#include "wire/json_writer.h"

namespace await::http {

std::string encode_problems(const std::vector<Backends::Readiness::Problem> &problems) {
  std::string out = "[";
  for (const auto &problem : problems) {
    wire::JsonWriter one;
    one.text("part", problem.part);
    one.text("state", problem.state);
    out += (out.size() > 1 ? "," : "") + one.take();
  }
  return out + "]";
}

}  // namespace await::http
