// Certificates for tests, valid from 2026 to 2126: a root, a leaf it signed, and a server's own
// self-signed certificate. Their keys are not kept.
#pragma once

namespace curlingiron::test {

inline constexpr char kRootCertificate[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBjzCCATWgAwIBAgIUO0HxXQu78BiniPEqZueiqN+7Hl4wCgYIKoZIzj0EAwIw\n"
    "FDESMBAGA1UEAwwJdGVzdCByb290MCAXDTI2MTEyMjE2MTczN1oYDzIxMjYxMDI5\n"
    "MTYxNzM3WjAUMRIwEAYDVQQDDAl0ZXN0IHJvb3QwWTATBgcqhkjOPQIBBggqhkjO\n"
    "PQMBBwNCAARp9Fi9J71kizn7PJODqKiidmrc5RLTmbeZ54+eiUV37cfvmLVXkvUX\n"
    "4Ij3nToLcVGQGkFiNpfhgWCdBTA0y7lAo2MwYTAdBgNVHQ4EFgQUlJhM4VCDAiQp\n"
    "8BtYsFlHk3DVwsAwHwYDVR0jBBgwFoAUlJhM4VCDAiQp8BtYsFlHk3DVwsAwDwYD\n"
    "VR0TAQH/BAUwAwEB/zAOBgNVHQ8BAf8EBAMCAQYwCgYIKoZIzj0EAwIDSAAwRQIh\n"
    "AMLA8cYgdY/9eT+8iiKcXk4mQynllfOWxVW4mdESuGwRAiAzexxknOsNtS7YgrXI\n"
    "V9S3ObtfK/XK3WJVETteRF0fZA==\n"
    "-----END CERTIFICATE-----\n";
inline constexpr char kLeafCertificate[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBgDCCASWgAwIBAgIUOG8xjzIQ/w8omJ6NZhkCclWsEMYwCgYIKoZIzj0EAwIw\n"
    "FDESMBAGA1UEAwwJdGVzdCByb290MCAXDTI2MTEyMjE2MTczN1oYDzIxMjYxMDI5\n"
    "MTYxNzM3WjAPMQ0wCwYDVQQDDARsZWFmMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcD\n"
    "QgAERwjLtZNi4q2V0YGzk+KpYQEwmqlPzv8aSCj4EtEuBBppD6Kp1ISEgMLgzBDq\n"
    "1Ih6OQJEIC2Wbws4QICWCaYS6KNYMFYwFAYDVR0RBA0wC4IJbG9jYWxob3N0MB0G\n"
    "A1UdDgQWBBTNrExD5Za2WMNz9u1ggZ2BTOrH7DAfBgNVHSMEGDAWgBSUmEzhUIMC\n"
    "JCnwG1iwWUeTcNXCwDAKBggqhkjOPQQDAgNJADBGAiEA3LhPuMwAlNsxtKrE/O9B\n"
    "efKeR01SMm1f41rrctrH64kCIQCAeEbjWF8bl9wf62LsrsseIG2qBkuS0VeHZrcc\n"
    "qXKZWA==\n"
    "-----END CERTIFICATE-----\n";
inline constexpr char kSelfSignedServer[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBmzCCAUGgAwIBAgIUX6cngdABckFZjyVlkff+GaQZEO0wCgYIKoZIzj0EAwIw\n"
    "DzENMAsGA1UEAwwEc2VsZjAgFw0yNjExMjIxNjE3MzdaGA8yMTI2MTAyOTE2MTcz\n"
    "N1owDzENMAsGA1UEAwwEc2VsZjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABEcI\n"
    "y7WTYuKtldGBs5PiqWEBMJqpT87/Gkgo+BLRLgQaaQ+iqdSEhIDC4MwQ6tSIejkC\n"
    "RCAtlm8LOECAlgmmEuijeTB3MB0GA1UdDgQWBBTNrExD5Za2WMNz9u1ggZ2BTOrH\n"
    "7DAfBgNVHSMEGDAWgBTNrExD5Za2WMNz9u1ggZ2BTOrH7DAPBgNVHRMBAf8EBTAD\n"
    "AQH/MA4GA1UdDwEB/wQEAwIChDAUBgNVHREEDTALgglsb2NhbGhvc3QwCgYIKoZI\n"
    "zj0EAwIDSAAwRQIhAL+3yDpTZdZJHoqpYBCdaNoyoozBAdsn4XhsUTUXosriAiAr\n"
    "M9tqqK0Zicrc4nrOM7P1P6QTpE/XuXwzpxUDeiwCdQ==\n"
    "-----END CERTIFICATE-----\n";
// A CA that names a host, by its common name alone.
inline constexpr char kServerByCommonName[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBjDCCATKgAwIBAgIUO5df5K2ulGI9gEI/9FLK4Sn7pPkwCgYIKoZIzj0EAwIw\n"
    "FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyNzIxMDMzMFoYDzIxMjYxMTAz\n"
    "MjEwMzMwWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO\n"
    "PQMBBwNCAATB70q8s4GDKC92iUHPHJw7sdQrEPX+C9j4rIo/EgRR+VTy0BzjdOlp\n"
    "rB4bdLkhEa3UatP4vVTifUAl8P1PjC0Io2AwXjAdBgNVHQ4EFgQULuAX38Ovfpt3\n"
    "qRCVxPC8lP26DS0wHwYDVR0jBBgwFoAULuAX38Ovfpt3qRCVxPC8lP26DS0wDwYD\n"
    "VR0TAQH/BAUwAwEB/zALBgNVHQ8EBAMCAoQwCgYIKoZIzj0EAwIDSAAwRQIhALRh\n"
    "rlHI2paa/0sZ10CF2GGeJGvxka8S7VPgh4GYtdQBAiBevWYi25BkAVYZp3fn7ePE\n"
    "AMqPSy8hzktYzBUP5t757Q==\n"
    "-----END CERTIFICATE-----\n";

}  // namespace curlingiron::test
