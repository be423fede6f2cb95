#pragma once

#include "io/log.h"
#include "ngx/nginx.h"

namespace await::ngx {

/// error.log of the nginx cycle.
class Log : public io::Log {
 public:
  explicit Log(ngx_log_t *log) : log_(log) {}
  void info(std::string_view line) override { write(NGX_LOG_NOTICE, line); }
  void error(std::string_view line) override { write(NGX_LOG_ERR, line); }

 private:
  void write(ngx_uint_t level, std::string_view line) {
    ngx_str_t text{line.size(), reinterpret_cast<u_char *>(const_cast<char *>(line.data()))};
    ngx_log_error(level, log_, 0, "await: %V", &text);
  }
  ngx_log_t *log_;
};

}  // namespace await::ngx
