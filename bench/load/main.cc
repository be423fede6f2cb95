// The load generator: one thread, one epoll loop. It counts what it is sent itself: a figure with a loss, a
// repeat or a stray in it is none. usage: load <what> [--option value …]; results are JSON lines.

#include "load/net.h"

int main(int argc, char **argv) {
  using namespace load;
  const std::map<std::string, int (*)(const Options &)> whats = {
      {"hold", hold},       {"fanout", fanout}, {"unicast", unicast}, {"submit", submit},
      {"deliver", deliver}, {"work", work},     {"relay", relay},     {"raw", raw}};
  auto at = argc > 1 ? whats.find(argv[1]) : whats.end();
  if (at == whats.end()) {
    std::fprintf(stderr,
                 "usage: load hold|fanout|unicast|submit|deliver|work|relay|raw [--option value …]\n");
    return 64;
  }
  try {
    return at->second(Options(argc, argv));
  } catch (const std::exception &error) {
    std::fprintf(stderr, "load %s: %s\n", argv[1], error.what());
    return 1;
  }
}
