// The URL of a webhook that is taken names one host and port, whatever surrounds it, and is allowed by its
// own host as a pattern; a pattern with another port or scheme does not allow it.

#include <string>

#include "fuzz/input.h"
#include "wire/json_check.h"
#include "wire/webhook_target.h"

using await::fuzz::must;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  await::fuzz::Input in(data, size);
  bool prefixed = in.byte() % 2 == 0;
  std::string text = (prefixed ? "https://" : "") + std::string(in.rest());
  await::wire::is_webhook_type(text);
  auto url = await::wire::parse_webhook_url(text);
  if (await::wire::is_webhook_host(text) && url)
    must(!prefixed || url->tls, "a scheme that is not the given one");
  if (!url)
    return 0;
  must(text.size() <= 2000, "a long URL");
  must(url->port >= 1 && url->port <= 65535, "a bad port");
  must(url->host.find_first_of("@/?#\\ \r\n%") == std::string::npos, "a bad host");
  std::string own = url->host + ":" + std::to_string(url->port);
  std::string scheme = url->tls ? "https://" : "http://";
  must(await::wire::is_webhook_host(scheme + own), "a host that is no pattern");
  must(await::wire::fits_webhook_host(*url, scheme + own), "a host that its own pattern does not allow");
  must(!await::wire::fits_webhook_host(*url, (url->tls ? "http://" : "https://") + own), "another scheme");
  must(
      !await::wire::fits_webhook_host(*url, scheme + url->host + ":" + std::to_string(url->port % 65535 + 1)),
      "another port");
  const std::string types[] = {"completed"};
  must(await::wire::is_json(await::wire::webhook_json(text, types)), "JSON");
  return 0;
}
