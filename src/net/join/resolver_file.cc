#include "net/join/resolver_file.h"

#include <fcntl.h>

#include <algorithm>
#include <vector>

#include "base/log.h"
#include "base/text.h"
#include "sys/file.h"

namespace curlingiron {
namespace {

Result<void> write_file(const UniqueFd& root, std::string_view text) {
  TRY(make_directory(root, "etc"));
  UniqueFd file = TRY(open_at(root, "etc/resolv.conf", O_WRONLY | O_CREAT | O_TRUNC));
  return write_all(file, as_bytes(text));
}

}  // namespace

std::string format_resolver_file(std::span<const ResolverConfig> resolvers) {
  std::vector<std::string> servers;
  std::string search;
  for (const ResolverConfig& resolver : resolvers) {
    for (const NameServer& server : resolver.servers) {
      std::string text = format_ip(server.address);
      if (server.address.is_link_local()) text += concat('%', server.interface);
      append_unique(servers, std::move(text));
    }
    if (search.empty()) search = join(resolver.search, " ");
  }
  std::string text;
  for (const std::string& server : servers) text += concat("nameserver ", server, '\n');
  if (!search.empty()) text += concat("search ", search, '\n');
  return text + "options timeout:2 attempts:3\n";
}

void ResolverFile::write(const UniqueFd& root, std::string text) {
  if (text == written_) return;
  if (auto written = write_file(root, text); !written.ok()) {
    log_warning("/etc/resolv.conf", written.error());
  } else {
    written_ = std::move(text);
  }
}

}  // namespace curlingiron
