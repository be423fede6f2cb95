#include <gtest/gtest.h>

#include "wire/html.h"
#include "wire/job_page.h"

namespace await::wire {
namespace {

TEST(Html, text_is_never_markup) {
  EXPECT_EQ(html_escape("<a href=\"x\">'&'</a>"), "&lt;a href=&quot;x&quot;&gt;&#39;&amp;&#39;&lt;/a&gt;");
  EXPECT_NE(html_page("<b>", "", "").find("<h1>&lt;b&gt;</h1>"), std::string::npos);
}

TEST(Html, a_page_of_a_job_reloads_itself_until_it_has_ended) {
  core::Job job;
  job.queue = "q";
  job.progress = R"({"html":"<script>"})";
  Links links{"/jobs/1", "/jobs/1/result?a=1&b=\"2\"", "/jobs/1/events"};
  for (auto state : {core::State::pending, core::State::processing, core::State::completed,
                     core::State::failed, core::State::cancelled, core::State::expired}) {
    job.state = state;
    job.result.reset();
    if (state == core::State::completed)
      job.result = core::JobResult{200, 1, "text/<x>", {}, 5, true, {}};
    std::string page = encode_job_page(job, links);
    EXPECT_EQ(page.find("http-equiv=\"refresh\"") == page.npos, core::is_ending(state));
    EXPECT_EQ(page.find("/jobs/1/result?a=1&amp;b=&quot;2&quot;\"") != page.npos,
              state == core::State::completed);
    EXPECT_EQ(page.find("<script>"), page.npos);
    EXPECT_EQ(page.find("<x>"), page.npos);
  }
}

}  // namespace
}  // namespace await::wire
