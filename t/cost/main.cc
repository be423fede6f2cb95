// Runs every case at n and at 2n. Memory is counted here; instructions by callgrind, which is asked for one
// dump a run: t/cost/check reads them and compares.

#include <dlfcn.h>
#include <malloc.h>
#include <valgrind/callgrind.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "cost/measure.h"

extern "C" {
void *__libc_malloc(std::size_t size);
void *__libc_calloc(std::size_t n, std::size_t size);
void *__libc_realloc(void *old, std::size_t size);
void __libc_free(void *memory);
}

namespace {
std::size_t allocated = 0;
std::size_t peak = 0;

void *count(void *memory) {
  allocated += malloc_usable_size(memory);
  peak = std::max(peak, allocated);
  return memory;
}
void uncount(void *memory) { allocated -= malloc_usable_size(memory); }
}  // namespace

// of everybody, libraries too; glibc's own free() still fits what these give
extern "C" {
void *malloc(std::size_t size) { return count(__libc_malloc(size)); }
void *calloc(std::size_t n, std::size_t size) { return count(__libc_calloc(n, size)); }
void *realloc(void *old, std::size_t size) {
  uncount(old);
  return count(__libc_realloc(old, size));
}
void free(void *memory) {
  uncount(memory);
  __libc_free(memory);
}
}

int main() {
  using await::cost::Case;
  int failed = 0;
  for (auto table : {await::cost::answer_cases(), await::cost::batch_cases(), await::cost::form_cases(),
                     await::cost::json_cases(), await::cost::header_cases(), await::cost::socket_cases(),
                     await::cost::reply_cases(), await::cost::log_cases()}) {
    for (const Case &one : table) {
      one.take(one.make(8));  // what is made once is made
      for (std::size_t factor : {1U, 2U}) {
        std::string input = one.make(factor * one.n);
        std::string name = std::string(one.name) + " x" + std::to_string(factor);
        peak = allocated;
        std::size_t before = allocated;
        CALLGRIND_ZERO_STATS;
        one.take(input);
        CALLGRIND_DUMP_STATS_AT(name.c_str());
        std::size_t used = peak - before;
        std::size_t most = one.memory(input.size());
        std::printf("%s: %zu bytes in, %zu bytes held, %zu at most\n", name.c_str(), input.size(), used,
                    most);
        if (used > most) {
          std::printf("FAILED: %s takes more memory than is said\n", name.c_str());
          failed = 1;
        }
      }
    }
  }
  return failed;
}
