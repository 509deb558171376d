// Certificate bundles in PEM (RFC 7468), made small without changing what they vouch for. Their
// reader is net/tls/trust_store.h.
#pragma once

#include "base/bytes.h"
#include "base/result.h"

namespace curlingiron {

// The bundle's certificates, each once, without the text between them.
//
// The signature of a root certificate is blanked. It is made with the very key it stands for, so it
// proves nothing: a root is trusted because it is in the bundle (RFC 5280, 6.1: the trust anchor is
// not part of the path that is verified), and OpenSSL does not look at it. It is random bytes, 40%
// of a compressed bundle. Only where OpenSSL takes it for a root (self-issued, a CA, with a
// keyUsage that lets it sign certificates) and neither a subjectAltName nor its common name could
// name a host: a server's own self-signed certificate, which must match byte for byte, is left
// alone, as is what cannot be read.
//
// No certificate, a block without its end, and what is not base64 are errors. Bound: 16 MiB.
Result<ByteVector> compact_ca_bundle(ConstBytes pem);

}  // namespace curlingiron
