#include "tool/verbs.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <utility>

#include "tool/json.h"
#include "wire/json_writer.h"

namespace await::tool {
namespace {

int code_of(Code code) {
  switch (code) {
    case Code::not_found:
      return kUnknown;
    case Code::timeout:
      return kLate;
    case Code::forbidden:
      return kForbidden;
    case Code::unavailable:
      return kAway;
    default:
      return kRefused;
  }
}

int code_of(const std::string &state) {
  return state == "completed" ? kDone : state == "failed" ? kFailed : has_ended(state) ? kCancelled : kLate;
}

void print(const std::string &text) { std::printf("%s\n", text.c_str()); }

/// An object of our own: names, and values as they are written.
void print_members(std::initializer_list<std::pair<const char *, std::string>> members) {
  std::string out;
  for (const auto &[name, value] : members)
    out += (out.empty() ? "{\"" : ",\"") + std::string(name) + "\":" + value;
  print(shown_json(out + "}"));
}

/// Where a result goes: a file that appears when it is whole, or standard output.
class Output {
 public:
  explicit Output(std::string path) : path_(std::move(path)), part_(path_ + ".part") {}
  ~Output() {
    if (file_)
      std::remove(part_.c_str());
  }

  Sink sink() {
    return {[this](const std::string &type) { return begin(type); },
            [this](std::string_view piece) { return write(piece); }};
  }
  /// Returns whether all is written.
  bool finish() {
    if (path_.empty())
      return std::fflush(stdout) == 0;
    bool whole = file_ && std::fflush(file_.get()) == 0 && std::ferror(file_.get()) == 0;
    if (whole && std::rename(part_.c_str(), path_.c_str()) == 0)
      file_.reset();
    return whole && !file_;
  }
  const std::string &why() const { return why_; }

 private:
  bool begin(const std::string &type) {
    if (path_.empty()) {
      filters_ = ::isatty(STDOUT_FILENO) != 0;
      if (filters_ && !type.starts_with("text/") && type.find("json") == type.npos &&
          type.find("xml") == type.npos)
        why_ = "the result is " + shown(type) + ", which is not for a terminal: -o FILE";
      return why_.empty();
    }
    file_.reset(std::fopen(part_.c_str(), "we"));
    if (!file_)
      why_ = "cannot write " + part_ + ": " + std::strerror(errno);
    return file_ != nullptr;
  }
  bool write(std::string_view piece) {
    // a stranger's result does not control our terminal
    std::string safe = filters_ ? shown(piece, true) : std::string();
    std::string_view bytes = filters_ ? std::string_view(safe) : piece;
    bool written = std::fwrite(bytes.data(), 1, bytes.size(), file_ ? file_.get() : stdout) == bytes.size();
    if (!written)
      why_ = std::string("cannot write the result: ") + std::strerror(errno);
    return written;
  }

  struct Close {
    void operator()(FILE *file) const { std::fclose(file); }
  };
  std::string path_;
  std::string part_;
  std::unique_ptr<FILE, Close> file_;
  std::string why_;
  bool filters_ = false;
};

void print_jobs(const std::vector<std::string> &jobs) {
  for (const std::string &job : jobs) {
    auto at = [&](const char *path) { return shown(text_at(job, path)); };
    std::string error = at("error.title");
    std::printf("%s  %-10s  %s  %s%s%s\n", at("id").c_str(), at("state").c_str(),
                (at("created_at").substr(0, 19) + "Z").c_str(), at("queue").c_str(),
                error.empty() ? "" : "  ", error.c_str());
  }
}

}  // namespace

int complain(const Error &error) {
  std::fprintf(stderr, "await: %s\n", shown(error.detail).c_str());
  return code_of(error.code);
}

int Verbs::submit(const Submission &submission, bool waits, const std::string &output) {
  auto document = service_.submit(submission);
  if (!document)
    return complain(document.error());
  std::string id = text_at(*document, "id");
  if (id.empty())
    return complain({Code::internal, "the answer has no id: " + document->substr(0, 200)});
  if (waits) {
    std::fprintf(stderr, "await: submitted %s\n", shown(id).c_str());
    return result(id, true, output);
  }
  print(json_ ? shown_json(*document) : shown(id));
  return kDone;
}

int Verbs::watch(const std::string &job) {
  std::string state;
  auto done = service_.follow(job, [&](std::string_view event) {
    line_.take(event);
    state = text_at(event, "type");
    return !has_ended(state);
  });
  line_.end();
  if (!done)
    return complain(done.error());
  if (!has_ended(state)) {  // its last event was not shown: it may be hidden or renamed
    auto document = service_.document(job);
    if (!document)
      return complain(document.error());
    state = text_at(*document, "state");
  }
  return code_of(state);
}

int Verbs::ending(const std::string &job, const Ending &ending) {
  if (json_ && !ending.problem.empty())
    print(shown_json(ending.problem));
  std::string why;
  for (const char *member : {"title", "detail"}) {
    if (std::string text = text_at(ending.problem, member); !text.empty())
      why += ": " + text;
  }
  if (ending.state != "completed")
    std::fprintf(stderr, "await: job %s is %s%s\n", shown(job).c_str(), shown(ending.state).c_str(),
                 shown(why).substr(0, 2000).c_str());
  return code_of(ending.state);
}

int Verbs::result(const std::string &job, bool waits, const std::string &output) {
  Output to(output);
  auto done = service_.result(job, waits, to.sink());
  if (!to.why().empty())
    return complain({Code::internal, to.why()});
  if (!done)
    return complain(done.error());
  if (done->state == "completed" && !to.finish())
    return complain({Code::internal, "cannot write the result: " + std::string(std::strerror(errno))});
  return ending(job, *done);
}

int Verbs::list(const Filter &filter) {
  Filter rest = filter;
  for (std::string cursor;;) {
    auto page = service_.list(rest, cursor);
    if (!page)
      return complain(page.error());
    auto most = std::min<std::size_t>(page->jobs.size(), static_cast<std::size_t>(rest.limit));
    page->jobs.resize(most);
    if (json_)
      std::for_each(page->jobs.begin(), page->jobs.end(),
                    [](const std::string &job) { print(shown_json(job)); });
    else
      print_jobs(page->jobs);
    rest.limit -= static_cast<std::int64_t>(most);
    if (rest.limit == 0 || page->next.empty() || page->next == cursor)
      return kDone;
    cursor = page->next;
  }
}

int Verbs::queues(const std::string &queue) {
  auto all = service_.queues(queue);
  if (!all)
    return complain(all.error());
  if (!json_)
    std::printf("%-24s %10s %10s %10s  %s\n", "queue", "waiting", "running", "oldest, s", "state");
  for (const std::string &one : *all) {
    auto at = [&](const char *path) { return shown(text_at(one, path)); };
    if (json_)
      print(shown_json(one));
    else
      std::printf("%-24s %10s %10s %10s  %s\n", at("queue").c_str(), at("waiting").c_str(),
                  at("running").c_str(), at("oldest").substr(0, 8).c_str(),
                  at("paused") == "true" ? "paused" : "");
  }
  return kDone;
}

int Verbs::pause(const std::string &queue, bool paused) {
  auto changed = service_.pause(queue, paused);
  if (!changed)
    return complain(changed.error());
  if (json_) {
    print_members({{"queue", wire::json_string(queue)},
                   {"paused", paused ? "true" : "false"},
                   {"changed", *changed ? "true" : "false"}});
  } else {
    print(shown(queue) + (*changed ? ": " : ": already ") + (paused ? "paused" : "resumed"));
  }
  return kDone;
}

int Verbs::retry(const std::string &job) {
  auto id = service_.retry(job);
  if (!id)
    return complain(id.error());
  if (json_) {
    print_members({{"id", wire::json_string(*id)}, {"retry_of", wire::json_string(job)}});
  } else {
    print(shown(*id));
  }
  return kDone;
}

int Verbs::cancel(const std::vector<std::string> &jobs) {
  int status = kDone;
  for (const std::string &job : jobs) {
    auto now = service_.cancel(job);
    if (!now) {
      int code = complain(now.error());
      status = status == kDone ? code : status;
    } else if (json_) {
      print_members({{"id", wire::json_string(job)}, {"outcome", *now ? R"("cancelled")" : R"("already")"}});
    } else {
      print(shown(job) + (*now ? ": cancelled" : ": was cancelled before"));
    }
  }
  return status;
}

}  // namespace await::tool
