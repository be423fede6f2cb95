#include "wire/job_page.h"

#include "base/text.h"
#include "wire/html.h"

namespace await::wire {
namespace {

constexpr std::string_view kReload = "<meta http-equiv=\"refresh\" content=\"2\">\n";

void add_row(std::string &out, std::string_view term, std::string_view html) {
  out.append("<dt>").append(term).append("</dt><dd>").append(html).append("</dd>\n");
}

/// @param json  JSON text, or none
void add_json(std::string &out, std::string_view term, const std::optional<std::string> &json) {
  if (json)
    add_row(out, term, "<pre>" + html_escape(*json) + "</pre>");
}

}  // namespace

std::string encode_job_page(const core::Job &job, const Links &links) {
  bool ended = core::is_ending(job.state);
  std::string rows = "<dl>\n";
  add_row(rows, "Id", "<code>" + job.id.text() + "</code>");
  add_row(rows, "Queue", html_escape(job.queue));
  add_row(rows, "Attempt", std::to_string(job.attempt));
  add_row(rows, "Created", format_time(job.created_at));
  add_row(rows, ended ? "Ended" : "Updated", format_time(job.updated_at));
  if (!ended)
    add_json(rows, "Progress", job.progress);
  if (job.state == core::State::failed)
    add_json(rows, "Error", job.error);
  rows += "</dl>\n";
  if (job.result)
    rows += "<p><a href=\"" + html_escape(links.result) + "\">Result</a> (" + html_escape(job.result->type) +
            ", " + std::to_string(job.result->size) + " bytes)</p>\n";
  else if (!ended)
    rows += "<p>This page reloads itself until the job has ended.</p>\n";
  return html_page("Job " + std::string(core::state_name(job.state)), ended ? "" : kReload, rows);
}

}  // namespace await::wire
