// How scripts/setup builds wolfSSL, and what those who include its headers must know of it: a TLS
// client, and what src/io needs of its digests and signatures. wolfSSL's manual, chapter 2.
#ifndef CURLINGIRON_WOLFSSL_OPTIONS_H
#define CURLINGIRON_WOLFSSL_OPTIONS_H

// --- TLS 1.2 and 1.3, as a client
#define WOLFSSL_TLS13
#define NO_OLD_TLS  // neither 1.0 nor 1.1
#define NO_WOLFSSL_SERVER
#define HAVE_TLS_EXTENSIONS
#define HAVE_SNI
#define HAVE_ALPN  // curl offers http/1.1
#define HAVE_SUPPORTED_CURVES
#define HAVE_HKDF                       // 1.3's key schedule
#define WOLFSSL_TLS13_MIDDLEBOX_COMPAT  // boxes that expect 1.2's messages let 1.3 through
#define HAVE_EXTENDED_MASTER            // 1.2 (RFC 7627)
#define HAVE_ENCRYPT_THEN_MAC           // 1.2's CBC suites (RFC 7366)
#define HAVE_RENEGOTIATION_INDICATION   // says that there is no renegotiation (RFC 5746)
#define WOLFSSL_POST_HANDSHAKE_AUTH     // a server may ask for the client's certificate later
#define NO_PSK
#define MICRO_SESSION_CACHE  // curl's backend links sessions; none is ever resumed

// --- what curl's backend calls is named as in OpenSSL
#define OPENSSL_EXTRA
#define NO_OLD_WC_NAMES  // but not wolfCrypt's: Sha256 is a word of ours
#define NO_WOLFSSL_DIR

// --- ciphers; in assembly, chosen by what the processor says of itself
#define WOLFSSL_X86_64_BUILD
#define USE_INTEL_SPEEDUP
#define WOLFSSL_AESNI
#define HAVE_AESGCM
#define HAVE_CHACHA
#define HAVE_POLY1305
#define NO_RC4
#define NO_DES3
#define NO_DSA

// --- digests
#define WOLFSSL_SHA384
#define WOLFSSL_SHA512
#define NO_MD4
#define NO_MD5

// --- keys and key exchange
#define HAVE_ECC
#define HAVE_ECC384
#define HAVE_ECC521
#define ECC_SHAMIR
#define HAVE_CURVE25519
#define HAVE_ED25519
#define NO_CURVED25519_X64  // in C: one multiplication a connection is not worth 50 kB
#define WC_RSA_PSS
#define HAVE_DH_DEFAULT_PARAMS
#define HAVE_FFDHE_2048
#define WOLFSSL_SP_MATH_ALL
#define WOLFSSL_SP_X86_64
#define SP_INT_BITS 8192  // RSA up to that
#define NO_PWDBASED       // no keys with passwords

// --- hardening: time does not tell keys; points are on their curve, keys belong together
#define WOLFSSL_VALIDATE_ECC_IMPORT
#define ECC_TIMING_RESISTANT
#define TFM_TIMING_RESISTANT
#define WC_RSA_BLINDING

// --- certificates. Whom a server is taken for is decided by net/certificate_path.h; the library
// hands every chain to a callback and would refuse it without.
#define WOLFSSL_ASN_TEMPLATE
// Serial number 0, which GoDaddy's, Starfield's and other roots have, does not spoil the chain that
// they are sent in. What else this lets pass and matters, extensions twice or critical and unknown,
// is refused by formats/x509.h.
#define WOLFSSL_NO_ASN_STRICT
#define WOLFSSL_ALWAYS_VERIFY_CB
#define WOLFSSL_ALT_CERT_CHAINS  // certificates of a chain that nobody vouches for do not end it
#define WOLFSSL_IP_ALT_NAME
#define WOLFSSL_MAX_ALT_NAMES 4096
#define WOLFSSL_MAX_NAME_CONSTRAINTS 4096
#define MAX_CHAIN_DEPTH 32
#define MAX_CERTIFICATE_SZ (256 * 1024)

// --- the system
#define HAVE_GETRANDOM 1
#define WOLFSSL_GETRANDOM 1
#define HAVE_PTHREAD 1
#define _POSIX_THREADS
#define HAVE_THREAD_LS
#define WC_NO_ASYNC_THREADING
#define HAVE_EX_DATA

#endif
