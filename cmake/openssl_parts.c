// Which parts of OpenSSL are linked. The library is the distribution's, as it is: but its tables name
// all that it can do, and so pull all of it into every static program. This object stands in the archive
// in the place of those tables (scripts/setup, openssl_replaced) and names what src/net/tls/policy.cc
// and src/io use; what no table names any more is not linked. Half of the library's weight goes that way.
//
// Compiled by scripts/setup against the headers inside the very source that the library is built
// from, so that whatever changes there is an error: of the compiler here, or of the linker, which finds
// a name twice or not at all.
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <string.h>

#include "crypto/ec/ec_local.h"
#include "crypto/ecx.h"
#include "crypto/evp.h"
#include "crypto/provider_local.h"
#include "prov/bio.h"
#include "prov/implementations.h"
#include "prov/names.h"
#include "prov/provider_ctx.h"
#include "prov/providercommon.h"
#include "prov/seeding.h"

// --- the provider: all algorithms that can be asked for

#define PROPERTIES "provider=default"
#define END {NULL, NULL, NULL, NULL}

static const OSSL_ALGORITHM digests[] = {
    // SHA-1 names certificates inside the library; nothing is trusted by it (security level 2).
    {PROV_NAMES_SHA1, PROPERTIES, ossl_sha1_functions, NULL},
    {PROV_NAMES_SHA2_256, PROPERTIES, ossl_sha256_functions, NULL},
    {PROV_NAMES_SHA2_384, PROPERTIES, ossl_sha384_functions, NULL},
    {PROV_NAMES_SHA2_512, PROPERTIES, ossl_sha512_functions, NULL},
    {PROV_NAMES_BLAKE2B_512, PROPERTIES, ossl_blake2b512_functions, NULL},
    END};

static const OSSL_ALGORITHM ciphers[] = {
    {PROV_NAMES_AES_128_GCM, PROPERTIES, ossl_aes128gcm_functions, NULL},
    {PROV_NAMES_AES_256_GCM, PROPERTIES, ossl_aes256gcm_functions, NULL},
    {PROV_NAMES_ChaCha20_Poly1305, PROPERTIES, ossl_chacha20_ossl_poly1305_functions, NULL},
    // Of the random generator.
    {PROV_NAMES_AES_256_CTR, PROPERTIES, ossl_aes256ctr_functions, NULL},
    {PROV_NAMES_AES_256_ECB, PROPERTIES, ossl_aes256ecb_functions, NULL},
    END};

static const OSSL_ALGORITHM macs[] = {
    {PROV_NAMES_HMAC, PROPERTIES, ossl_hmac_functions, NULL},
    END};

static const OSSL_ALGORITHM key_derivations[] = {
    {PROV_NAMES_HKDF, PROPERTIES, ossl_kdf_hkdf_functions, NULL},
    {PROV_NAMES_TLS1_3_KDF, PROPERTIES, ossl_kdf_tls1_3_kdf_functions, NULL},
    {PROV_NAMES_TLS1_PRF, PROPERTIES, ossl_kdf_tls1_prf_functions, NULL},
    END};

static const OSSL_ALGORITHM key_exchanges[] = {
    {PROV_NAMES_ECDH, PROPERTIES, ossl_ecdh_keyexch_functions, NULL},
    {PROV_NAMES_X25519, PROPERTIES, ossl_x25519_keyexch_functions, NULL},
    END};

static const OSSL_ALGORITHM random_generators[] = {
    {PROV_NAMES_CTR_DRBG, PROPERTIES, ossl_drbg_ctr_functions, NULL},
    {PROV_NAMES_SEED_SRC, PROPERTIES, ossl_seed_src_functions, NULL},
    END};

static const OSSL_ALGORITHM signatures[] = {
    {PROV_NAMES_RSA, PROPERTIES, ossl_rsa_signature_functions, NULL},
    {PROV_NAMES_ECDSA, PROPERTIES, ossl_ecdsa_signature_functions, NULL},
    {PROV_NAMES_ED25519, PROPERTIES, ossl_ed25519_signature_functions, NULL},
    END};

static const OSSL_ALGORITHM keys[] = {
    {PROV_NAMES_RSA, PROPERTIES, ossl_rsa_keymgmt_functions, NULL},
    {PROV_NAMES_RSA_PSS, PROPERTIES, ossl_rsapss_keymgmt_functions, NULL},
    {PROV_NAMES_EC, PROPERTIES, ossl_ec_keymgmt_functions, NULL},
    {PROV_NAMES_X25519, PROPERTIES, ossl_x25519_keymgmt_functions, NULL},
    {PROV_NAMES_ED25519, PROPERTIES, ossl_ed25519_keymgmt_functions, NULL},
    END};

// Public keys as certificates hold them, and private keys in PEM: PKCS #8, and the older forms of RSA
// and EC. None with a password.
#define DECODER(name, input, structure, table) \
  {name, PROPERTIES ",input=" input ",structure=" structure, table, NULL}
static const OSSL_ALGORITHM decoders[] = {
    DECODER(PROV_NAMES_RSA, "der", "SubjectPublicKeyInfo",
            ossl_SubjectPublicKeyInfo_der_to_rsa_decoder_functions),
    DECODER(PROV_NAMES_RSA_PSS, "der", "SubjectPublicKeyInfo",
            ossl_SubjectPublicKeyInfo_der_to_rsapss_decoder_functions),
    DECODER(PROV_NAMES_EC, "der", "SubjectPublicKeyInfo",
            ossl_SubjectPublicKeyInfo_der_to_ec_decoder_functions),
    DECODER(PROV_NAMES_ED25519, "der", "SubjectPublicKeyInfo",
            ossl_SubjectPublicKeyInfo_der_to_ed25519_decoder_functions),
    DECODER(PROV_NAMES_RSA, "der", "PrivateKeyInfo",
            ossl_PrivateKeyInfo_der_to_rsa_decoder_functions),
    DECODER(PROV_NAMES_RSA_PSS, "der", "PrivateKeyInfo",
            ossl_PrivateKeyInfo_der_to_rsapss_decoder_functions),
    DECODER(PROV_NAMES_EC, "der", "PrivateKeyInfo",
            ossl_PrivateKeyInfo_der_to_ec_decoder_functions),
    DECODER(PROV_NAMES_ED25519, "der", "PrivateKeyInfo",
            ossl_PrivateKeyInfo_der_to_ed25519_decoder_functions),
    DECODER(PROV_NAMES_RSA, "der", "type-specific",
            ossl_type_specific_keypair_der_to_rsa_decoder_functions),
    DECODER(PROV_NAMES_EC, "der", "type-specific",
            ossl_type_specific_no_pub_der_to_ec_decoder_functions),
    DECODER("DER", "der", "SubjectPublicKeyInfo",
            ossl_SubjectPublicKeyInfo_der_to_der_decoder_functions),
    {"DER", PROPERTIES ",input=pem", ossl_pem_to_der_decoder_functions, NULL},
    END};

static const OSSL_ALGORITHM* query(void* context, int operation, int* no_cache) {
  (void)context;
  *no_cache = 0;
  switch (operation) {
    case OSSL_OP_DIGEST: return digests;
    case OSSL_OP_CIPHER: return ciphers;
    case OSSL_OP_MAC: return macs;
    case OSSL_OP_KDF: return key_derivations;
    case OSSL_OP_RAND: return random_generators;
    case OSSL_OP_KEYMGMT: return keys;
    case OSSL_OP_KEYEXCH: return key_exchanges;
    case OSSL_OP_SIGNATURE: return signatures;
    case OSSL_OP_DECODER: return decoders;
    default: return NULL;
  }
}

static void tear_down(void* context) {
  BIO_meth_free(ossl_prov_ctx_get0_core_bio_method(context));
  ossl_prov_ctx_free(context);
}

static const OSSL_DISPATCH dispatch[] = {
    {OSSL_FUNC_PROVIDER_TEARDOWN, (void (*)(void))tear_down},
    {OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))query},
    {OSSL_FUNC_PROVIDER_GET_CAPABILITIES, (void (*)(void))ossl_prov_get_capabilities},
    {0, NULL}};

static int start(const OSSL_CORE_HANDLE* handle, const OSSL_DISPATCH* core,
                 const OSSL_DISPATCH** out, void** context) {
  OSSL_FUNC_core_get_libctx_fn* library_context = NULL;
  if (!ossl_prov_bio_from_dispatch(core) || !ossl_prov_seeding_from_dispatch(core)) return 0;
  for (; core->function_id != 0; ++core) {
    if (core->function_id == OSSL_FUNC_CORE_GET_LIBCTX) {
      library_context = OSSL_FUNC_core_get_libctx(core);
    }
  }
  BIO_METHOD* method = library_context != NULL ? ossl_bio_prov_init_bio_method() : NULL;
  PROV_CTX* made = method != NULL ? ossl_prov_ctx_new() : NULL;
  if (made == NULL) {
    BIO_meth_free(method);
    return 0;
  }
  ossl_prov_ctx_set0_libctx(made, (OSSL_LIB_CTX*)library_context(handle));
  ossl_prov_ctx_set0_handle(made, handle);
  ossl_prov_ctx_set0_core_bio_method(made, method);
  *context = made;
  *out = dispatch;
  return 1;
}

const OSSL_PROVIDER_INFO ossl_predefined_providers[] = {{"default", NULL, start, NULL, 1},
                                                        {NULL, NULL, NULL, NULL, 0}};

// --- what names and numbers of OIDs stand for, besides the provider

void openssl_add_all_digests_int(void) {
  EVP_add_digest(EVP_sha1());
  EVP_add_digest(EVP_sha256());
  EVP_add_digest(EVP_sha384());
  EVP_add_digest(EVP_sha512());
}

void openssl_add_all_ciphers_int(void) {}

// --- P-256 without its table of multiples, 150 kB that cannot be packed. A handshake takes half a
// millisecond longer.

const EC_METHOD* EC_GFp_mont_method(void);  // which the headers hide with no-deprecated

const EC_METHOD* EC_GFp_nistz256_method(void) { return EC_GFp_mont_method(); }

NISTZ256_PRE_COMP* EC_nistz256_pre_comp_dup(NISTZ256_PRE_COMP* table) { return table; }
void EC_nistz256_pre_comp_free(NISTZ256_PRE_COMP* table) { (void)table; }

// --- Curve448, which no table above names, but that of key types does: what it would compute with

int ossl_x448(uint8_t out[56], const uint8_t private_key[56], const uint8_t peer[56]) {
  return 0;
}

void ossl_x448_public_from_private(uint8_t out[56], const uint8_t private_key[56]) {
  memset(out, 0, 56);
}

int ossl_ed448_public_from_private(OSSL_LIB_CTX* library, uint8_t out[57],
                                   const uint8_t private_key[57], const char* properties) {
  memset(out, 0, 57);
  return 0;
}

// Ed448ph has functions of its own before 3.2, and a flag since.
#if OPENSSL_VERSION_NUMBER < 0x30200000L
#define PREHASHED
#else
#define PREHASHED const uint8_t prehashed,
#endif

int ossl_ed448_sign(OSSL_LIB_CTX* library, uint8_t* out, const uint8_t* message, size_t size,
                    const uint8_t public_key[57], const uint8_t private_key[57],
                    const uint8_t* context, size_t context_size, PREHASHED const char* properties) {
  return 0;
}

int ossl_ed448_verify(OSSL_LIB_CTX* library, const uint8_t* message, size_t size,
                      const uint8_t signature[114], const uint8_t public_key[57],
                      const uint8_t* context, size_t context_size,
                      PREHASHED const char* properties) {
  return 0;
}
