// What libcurl is linked with in the place of the C library's resolver (scripts/setup): it is told every
// address, and asks for none.
#include <netdb.h>
#include <stddef.h>

int curl_no_getaddrinfo(const char* host, const char* service, const struct addrinfo* hints,
                        struct addrinfo** found) {
  (void)host, (void)service, (void)hints;
  *found = NULL;
  return EAI_FAIL;
}

void curl_no_freeaddrinfo(struct addrinfo* list) { (void)list; }
