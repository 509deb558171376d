// What libcurl is linked with in the place of functions that it names and never calls here: scripts/setup
// compiles it with -DNAME=curl_no_NAME for each of these. It is given every address and asks for none;
// who is trusted, and how a client proves itself, is set by src/net; certificates are not listed; no
// file but PEM is read. Each fails, or does nothing.
#include <netdb.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stddef.h>

int curl_no_getaddrinfo(const char* host, const char* service, const struct addrinfo* hints,
                        struct addrinfo** found) {
  (void)host, (void)service, (void)hints;
  *found = NULL;
  return EAI_FAIL;
}

void curl_no_freeaddrinfo(struct addrinfo* list) { (void)list; }

PKCS12* curl_no_d2i_PKCS12_bio(BIO* from, PKCS12** into) {
  (void)from, (void)into;
  return NULL;
}

int curl_no_PKCS12_parse(PKCS12* from, const char* password, EVP_PKEY** key, X509** certificate,
                         STACK_OF(X509) * *chain) {
  (void)from, (void)password, (void)key, (void)certificate, (void)chain;
  return 0;
}

void curl_no_PKCS12_free(PKCS12* object) { (void)object; }
void curl_no_PKCS12_PBE_add(void) {}

X509_LOOKUP_METHOD* curl_no_X509_LOOKUP_file(void) { return NULL; }

int curl_no_X509_load_crl_file(X509_LOOKUP* lookup, const char* file, int kind) {
  (void)lookup, (void)file, (void)kind;
  return 0;
}

int curl_no_X509_STORE_load_file(X509_STORE* store, const char* file) {
  (void)store, (void)file;
  return 0;
}

int curl_no_X509_STORE_load_path(X509_STORE* store, const char* path) {
  (void)store, (void)path;
  return 0;
}

STACK_OF(X509_INFO) * curl_no_PEM_X509_INFO_read_bio(BIO* from, STACK_OF(X509_INFO) * into,
                                                   pem_password_cb* callback, void* data) {
  (void)from, (void)into, (void)callback, (void)data;
  return NULL;
}

// Of an issuer, for a line of the trace that nobody sees: empty.
int curl_no_X509_NAME_print_ex(BIO* out, const X509_NAME* name, int indent, unsigned long flags) {
  (void)out, (void)name, (void)indent, (void)flags;
  return 1;
}

int curl_no_X509V3_EXT_print(BIO* out, X509_EXTENSION* extension, unsigned long flags, int indent) {
  (void)out, (void)extension, (void)flags, (void)indent;
  return 0;
}

int curl_no_PEM_write_bio_X509(BIO* out, const X509* certificate) {
  (void)out, (void)certificate;
  return 0;
}
